"""The table of a data folder or a pack: its counts are those of the games in it."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from rich.console import Console

from oreo.envs.alfworld.data.games import open_split, pack_games
from oreo.envs.alfworld.data.summary import render, summarize
from oreo.envs.alfworld.generation.generator import write_games
from oreo.errors import DataError

from .folders import add_game


@pytest.fixture
def written(data: Path) -> Path:
    data = data.parent / "games"
    write_games(3, data, max_receptacles=4, max_objects=4)
    write_games(2, data, heldout=True, dialect="move", max_receptacles=4, max_objects=4)
    add_game(data, "a-Mug", split="train")  # of a domain that nobody knows
    return data


def test_every_game_is_counted_once_and_a_pack_has_the_folders_figures(written: Path, tmp_path: Path) -> None:
    summary = summarize(written)
    assert json.loads(json.dumps(summary)) == summary and summary["kind"] == "folder"
    for split, counts in summary["games"].items():
        assert counts == Counter(entry.task_type for entry in open_split(written, split))
    assert summary["dialects"] == {"train": {"put": 4}, "valid_unseen": {"move": 2}}
    assert summary["rules"] == {"train": {"before 0.4": 3, "unknown": 1}, "valid_unseen": {"0.4": 2}}
    assert summary["engines"] == {"train": {"simulator": 3, "textworld": 1}, "valid_unseen": {"simulator": 2}}
    assert summary["human_goals"]["valid_unseen"] == 0
    pack_games(written, tmp_path / "games.pack")
    packed = summarize(tmp_path / "games.pack")
    assert packed == summary | {"data": str(tmp_path / "games.pack"), "kind": "pack"}


def test_the_table_fits_into_80_columns_and_shows_all_counts(written: Path) -> None:
    console = Console(file=io.StringIO(), width=80)
    console.print(render(summarize(written) | {"data": "games"}))
    lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert max(map(len, lines)) <= 80
    (total,) = (cells for cells in ([cell.strip() for cell in line.split("│")] for line in lines) if "all" in cells)
    assert total == ["", "all", "4", "2", ""]
    assert any("simulator 3, textworld 1" in line for line in lines), lines


def test_a_folder_without_a_split_is_one_line(data: Path) -> None:
    (data / "json_2.1.1").mkdir()
    with pytest.raises(DataError, match=r"no split in it \(looked for .*train") as caught:
        summarize(data)
    assert "\n" not in str(caught.value)
