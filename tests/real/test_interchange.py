"""Recorded episodes of the real games: one command each, and every episode has found its game."""

from __future__ import annotations

import json
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.shared_data import ALL, SHARED, TRAJECTORIES, needs_games, needs_trajectories, real_games
from oreo.data.buffer import TrajectoryBuffer
from oreo.data.interchange.importing import import_files
from oreo.envs.alfworld.data.pack import write_pack
from oreo.envs.matching import matcher

pytestmark = [needs_games, needs_trajectories]
REACT = sorted((SHARED / "trajectories" / "knowagent").glob("*.jsonl.xz"))
EVERY = 1 if ALL else 40
ABSENT = "pick_clean_then_place_in_recep-Cloth-None-BathtubBasin-413/trial_T20190908_065418_661400"
"""The one recorded game that is not among the games here."""


@pytest.fixture(scope="module")
def games(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A pack of all train games."""
    file = tmp_path_factory.mktemp("packs") / "train.pack"
    write_pack(file, (("train", game) for game in real_games("train")))
    return file


def sample(source: Path, target: Path, *, without: str = "", every: int = EVERY) -> int:
    """Some of the lines, uncompressed, and one field fewer; how many."""
    with lzma.open(source, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for number, line in enumerate(lines) if number % every == 0]
    kept = [{name: value for name, value in row.items() if name != without} for row in rows]
    target.write_text("".join(json.dumps(row) + "\n" for row in kept))
    return len(kept)


def test_every_episode_of_the_expert_is_played_won_and_finds_its_game(
    games: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    count = sample(TRAJECTORIES, tmp_path / "x")
    # Nothing says that they are won: but for the absent game's, it is what playing them says.
    report = import_files([tmp_path / "x"], tmp_path / "b", match=matcher(data=games), won=True if ALL else None)
    assert report.formats == ["sharegpt"] and report.episodes == report.stored == report.won == count
    absent = [item for item in report.unmatched if ABSENT in item["game"]]
    assert report.matched + len(absent) == count and not report.ambiguous and report.unmatched == absent
    record_property("episodes of the expert imported and matched", report.matched)


def test_without_paths_the_right_game_is_found_or_several_are_named(games: Path, tmp_path: Path) -> None:
    every = 8 if ALL else 100
    count = sample(TRAJECTORIES, tmp_path / "with", every=every)
    sample(TRAJECTORIES, tmp_path / "without", without="gamefile", every=every)
    match = matcher(data=games)
    for name in ("with", "without"):
        import_files([tmp_path / name], tmp_path / f"{name}-games", match=match, won=True)
    named, unnamed = (list(TrajectoryBuffer(tmp_path / f"{name}-games")) for name in ("with", "without"))
    for one, other in zip(named, unnamed, strict=True):
        assert other.game == one.game or one.game in other.extra["imported_from"]["games"]  # type: ignore[operator]
    assert sum(not trajectory.game for trajectory in unnamed) <= max(1, count // 100)


@pytest.mark.parametrize("source", REACT, ids=lambda path: path.stem)
def test_every_episode_of_the_language_model_finds_its_game(
    source: Path, games: Path, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    count = sample(source, tmp_path / "x", every=1 if ALL else 10)
    report = import_files([tmp_path / "x"], tmp_path / "b", match=matcher(data=games))
    assert report.formats == ["react"] and report.matched == report.stored == count
    for trajectory in TrajectoryBuffer(tmp_path / "b"):
        assert trajectory.won == (trajectory.episode_return == 1) and trajectory.dialect == "put"
    record_property("episodes of the language model imported and matched", report.matched)
