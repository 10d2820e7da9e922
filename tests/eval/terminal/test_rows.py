"""oreo.eval.terminal.rows: what a list shows of a buffer's episodes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from helpers.stored_episodes import KITCHEN, LOST
from oreo.data.buffer import TrajectoryBuffer
from oreo.eval.terminal.charts import sparkline
from oreo.eval.terminal.rows import COLUMNS, Rows, sampled

COLUMN = {column.stored: column for column in COLUMNS}


@pytest.fixture
def buffer(tmp_path: Path) -> TrajectoryBuffer:
    stored = TrajectoryBuffer(tmp_path / "b", episodes_per_shard=2)
    stored.extend([KITCHEN, LOST, replace(LOST, task="find a\x1b[2J cup.", seed=3), replace(KITCHEN, seed=1), LOST])
    return stored


def read(buffer: TrajectoryBuffer, condition: str = "") -> Rows:
    rows = Rows(buffer.where(condition))
    rows.read()
    return rows


def test_rows_come_in_parts_and_in_the_order_of_the_buffer(buffer: TrajectoryBuffer) -> None:
    rows = Rows(buffer.where("").fixed())
    assert rows.read(2) == 2 and not rows.complete and len(rows) == 2
    assert rows.read(10) == 3 and rows.complete and rows.numbers == [0, 1, 2, 3, 4]
    assert [rows.cell(0, column) for column in COLUMNS] == [
        "0", "✓", "5", "1", "pick_cool_then_place_in_recep", "cool some tomato.", "best_of_5(temperature=1.0)",
        "generated/0/7/put-8-14", "7",
    ]  # fmt: skip
    assert rows.cell(2, COLUMN["task"]) == "find a cup." and rows.cell(1, COLUMN["seed"]) == ""


def test_a_condition_keeps_the_numbers_of_the_buffer(buffer: TrajectoryBuffer) -> None:
    rows = read(buffer, "not won")
    assert rows.numbers == [1, 2, 4] and [rows.won(row) for row in range(3)] == [False] * 3


def test_every_column_sorts_both_ways_and_what_is_not_known_comes_last(buffer: TrajectoryBuffer) -> None:
    rows = read(buffer)
    assert rows.order(COLUMN["length"]) == [1, 2, 4, 0, 3]
    assert rows.order(COLUMN["length"], reverse=True) == [0, 3, 1, 2, 4]
    assert rows.order(COLUMN["seed"]) == [3, 2, 0, 1, 4]
    assert rows.order(COLUMN["seed"], reverse=True) == [0, 2, 3, 1, 4]
    assert rows.order(COLUMN[""], reverse=True) == [4, 3, 2, 1, 0]
    for column in COLUMNS:
        assert sorted(rows.order(column)) == list(range(5))


def test_finding_goes_on_from_a_place_and_round(buffer: TrajectoryBuffer) -> None:
    rows = read(buffer)
    order = rows.order(COLUMN["length"])  # 1 2 4 0 3
    assert [rows.find(text, order, 0) for text in ("Tomato", "CUP", "lost", "nothing of the kind")] == [3, 1, 0, None]
    assert rows.find("tomato", order, 4) == 4 and rows.find("cup", order, 2) == 1
    assert rows.find("tomato", order, 2, -1) == 4
    assert rows.find("x", [], 0) is None
    assert rows.find_lost(order, 1) == 1 and rows.find_lost(order, 3) is None and rows.find_lost(order, 4, -1) == 2


def test_values_are_those_of_the_episode_in_a_shard_and_in_a_journal(buffer: TrajectoryBuffer) -> None:
    rows = read(buffer)
    assert rows.values(0) is None
    rows.read_values([4, 0])
    assert rows.values(0) == sparkline([step.value for step in KITCHEN.steps])
    assert rows.values(4) == sparkline([step.value for step in LOST.steps]) and rows.values(1) is None


def test_of_many_values_the_ends_are_kept_and_as_many_as_have_room() -> None:
    values = [float(at) for at in range(50)]
    assert sampled(values, 12)[0] == 0 and sampled(values, 12)[-1] == 49 and len(sampled(values, 12)) == 12
    assert sampled(values[:5], 12) == values[:5]
