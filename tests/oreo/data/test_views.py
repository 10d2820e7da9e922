"""A view is the list of the episodes it means, without reading the others."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from oreo.data import shards
from oreo.data.buffer import TrajectoryBuffer
from oreo.data.shards import ShardFile
from oreo.errors import UsageError
from oreo.trajectory import Trajectory

from .episodes import episode, orphan, same, shard_with
from .test_filters import conditions, episodes


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(conditions, episodes)
def test_a_view_is_what_plain_python_would_choose(condition: Any, given_ones: list[Trajectory]) -> None:
    text, holds = condition
    meant = tuple(one for one in given_ones if holds(one, given_ones))
    with tempfile.TemporaryDirectory() as folder:
        buffer = TrajectoryBuffer(folder, episodes_per_shard=2)
        buffer.extend(given_ones)  # shards, and a journal
        view = buffer.where(text)
        assert same(tuple(view), meant) and len(view) == len(meant)
        assert same(tuple(view[at] for at in range(-len(meant), len(meant))), meant * 2)
        with pytest.raises(IndexError, match=f"of {len(meant)} episodes"):
            view[len(meant)]
        assert list(view.columns("won", "length")) == [(one.won, len(one)) for one in meant]
        assert view.info()["steps"] == sum(map(len, meant))
        assert sorted(map(repr, view.shuffled(3))) == sorted(map(repr, meant))
        buffer.close()
        assert same(tuple(view), meant)  # in shards alone now


def test_conditions_one_after_the_other_count_groups_among_what_is_meant(tmp_path: Path) -> None:
    buffer = TrajectoryBuffer(tmp_path)
    buffer.extend([episode("a", agent="x"), episode("a", won=False, agent="y"), episode("b", won=False, agent="x")])
    assert [one.agent for one in buffer.where("wins(game) == 0.5")] == ["x", "y"]
    assert [one.game for one in buffer.where(agent="x").where("wins(game) == 1")] == ["a"]
    assert [number for number, _ in buffer.where("not won").numbered("game")] == [1, 2]
    assert len(buffer.where()) == len(buffer.where("  ")) == 3 and len(buffer.where(won=None)) == 3
    with pytest.raises(UsageError, match="column 4"):
        buffer.where("won;")
    with pytest.raises(UsageError, match="where\\(\\) takes a text"):
        buffer.where(lambda one: one.won)  # type: ignore[arg-type]


@pytest.mark.parametrize("index", [slice(0, 1), 0.0, "0", None])
def test_what_is_no_whole_number_is_no_index(index: Any, tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path) as buffer:
        buffer.append(episode("a"))
    for one in (buffer, buffer.where("won")):
        with pytest.raises(TypeError, match="an index is a whole number, got"):
            one[index]
        assert one[np.int64(-1)].game == "a"


def test_a_view_sees_what_is_appended_later(tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path) as buffer:
        view = buffer.where("won")
        assert len(view) == 0 and list(view) == []
        buffer.append(episode("a"))
        buffer.append(episode("b", won=False))
        assert [one.game for one in view] == ["a"]
    assert [one.game for one in view] == ["a"]


def test_only_row_groups_with_what_is_meant_are_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard_with(tmp_path, 600)
    read: list[int] = []
    whole = shards._Shard.read

    def counted(shard: Any, group: int, names: Any = None) -> Any:
        read.extend([group] if names is None else [])
        return whole(shard, group, names)

    monkeypatch.setattr(shards._Shard, "read", counted)
    buffer = TrajectoryBuffer(tmp_path)
    assert len(buffer.where('game in ["3", "300"]')) == 2 and read == []
    assert [one.game for one in buffer.where('game in ["3", "300"]')] == ["3", "300"] and read == [0, 2]
    read.clear()
    assert buffer.where('game == "599"')[0].game == "599" and read == [4]


def test_a_shuffled_pass_has_each_episode_once_and_reads_each_part_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with TrajectoryBuffer(tmp_path) as filled:
        filled.extend(episode(str(index), steps=1) for index in range(2500))
    read: Counter[tuple[Path, int]] = Counter()
    whole = shards._Shard.read

    def counted(shard: Any, group: int, names: Any = None) -> Any:
        read[shard.path, group] += 1
        return whole(shard, group, names)

    monkeypatch.setattr(shards._Shard, "read", counted)
    buffer = TrajectoryBuffer(tmp_path)
    order = [one.game for one in buffer.shuffled(0)]
    assert sorted(order) == sorted(map(str, range(2500))) and set(read.values()) == {1}
    assert order == [one.game for one in buffer.shuffled(0)] != [one.game for one in buffer.shuffled(1)]
    moved = [abs(place - int(name)) for place, name in enumerate(order)]
    assert sum(moved) / len(moved) > 400  # a third of the length, 833, were it drawn wholly at random


def test_a_journal_is_read_once_for_a_shuffled_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    orphan(tmp_path, 300)
    from oreo.data import journal

    read = []
    whole = journal.read
    monkeypatch.setattr(journal, "read", lambda path: read.append(path) or whole(path))
    buffer = TrajectoryBuffer(tmp_path, create=False)
    view = buffer.where()
    assert len(view) == 300
    read.clear()
    assert len({one.game for one in view.shuffled(0)}) == 300 and len(read) <= 2


def test_what_is_damaged_is_passed_over_and_the_numbers_of_the_rest_stay(tmp_path: Path) -> None:
    path = shard_with(tmp_path, 300)
    start, size = _chunk(path, group=1, column="game")
    whole = path.read_bytes()
    path.write_bytes(whole[: start + size // 2] + b"\xff\xff\xff" + whole[start + size // 2 + 3 :])
    buffer = TrajectoryBuffer(tmp_path)
    with pytest.warns(UserWarning, match="damaged"):
        meant = [one.game for one in buffer.where('game in ["0", "130", "299"]')]
    assert meant == ["0", "299"]


def _chunk(path: Path, group: int, column: str) -> tuple[int, int]:
    import pyarrow.parquet as pq

    metadata = pq.read_metadata(path)
    for at in range(metadata.num_columns):
        chunk = metadata.row_group(group).column(at)
        if chunk.path_in_schema == column:
            return chunk.dictionary_page_offset or chunk.data_page_offset, chunk.total_compressed_size
    raise AssertionError(column)


def test_files_say_where_their_rows_are(tmp_path: Path) -> None:
    file = ShardFile(shard_with(tmp_path, 300))
    assert [number for number, _ in file.columns(["game"])] == list(range(300))
