"""`oreo buffer filter | merge | split | dedup | sample | head`, and --where in other commands."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oreo.data.buffer import TrajectoryBuffer
from oreo.trajectory import Step, Trajectory


def of(game: str, won: bool, steps: int = 1, agent: str = "x") -> Trajectory:
    taken = tuple(Step(f"o{at}", f"a{at}", float(won)) for at in range(steps))
    return Trajectory("toy", taken, "end", terminated=True, truncated=False, won=won, game=game, agent=agent)


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """The folder of two buffers: a, four episodes, and b, two."""
    with TrajectoryBuffer(tmp_path / "a") as a:
        a.extend([of("g", True), of("g", False, 2), of("h", True, 3), of("g", True)])
    with TrajectoryBuffer(tmp_path / "b") as b:
        b.extend([of("i", False), of("g", True, agent="y")])
    return tmp_path


def told(oreo: Any, *words: object) -> Any:
    code, out, error = oreo(*words, "--json")
    assert code == 0, error
    return json.loads(out)


def games(name: str) -> list[str]:
    return [episode.game for episode in TrajectoryBuffer(name, create=False)]


def test_filter_merge_dedup_and_sample(oreo, two: Path) -> None:
    assert told(oreo, "buffer", "filter", "a", "--where", "won and steps < 3", "--into", "f")["into"] == {"f": 2}
    merged = told(oreo, "buffer", "merge", "a", "b", "--into", "m")
    assert merged == {"buffer": "m", "episodes": 6, "from": {"a": 4, "b": 2}}
    assert games("m") == ["g", "g", "h", "g", "i", "g"]
    assert told(oreo, "buffer", "info", "m", "--where", 'came_from == "b"')["episodes"] == 2
    once = told(oreo, "buffer", "dedup", "m", "--into", "d")
    assert once["left_out"] == 2 and games("d") == ["g", "g", "h", "i"]
    told(oreo, "buffer", "sample", "m", "--per-game", 1, "--count", 2, "--into", "s")
    assert len(set(games("s"))) == 2


def test_split_by_games_and_by_a_condition(oreo, two: Path) -> None:
    told(oreo, "buffer", "split", "a", "--share", 0.5, "--into", "t", "--rest", "r")
    assert sorted([set(games("t")), set(games("r"))], key=len) and not set(games("t")) & set(games("r"))
    assert len(games("t")) + len(games("r")) == 4
    split = told(oreo, "buffer", "split", "a", "--where", "won", "--into", "w", "--rest", "l")
    assert split["into"] == {"w": 3, "l": 1}
    code, _, error = oreo("buffer", "split", "a", "--share", 0.5, "--into", "new", "--rest", "r")
    assert code == 2 and "r is there already" in error and not (two / "new").exists()


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["filter", "a", "--where", "won", "--into", "b"], "b is there already"),
        (["filter", "a", "--where", " ", "--into", "n"], "--where is empty"),
        (["filter", "a", "--where", "wonn", "--into", "n"], "did you mean 'won'?"),
        (["merge", "a", "--into", "n"], "two buffers or more"),
        (["merge", "a", "./a", "--into", "n"], "a is given twice"),
        (["merge", "a", "nowhere", "--into", "n"], "there is no such buffer"),
        (["split", "a", "--into", "n", "--rest", "o"], "one of --share"),
        (["split", "a", "--share", "2", "--into", "n", "--rest", "o"], "each part needs at least one"),
        (["split", "a", "--share", "0.5", "--into", "n", "--rest", "n"], "give two names"),
        (["sample", "a", "--into", "n"], "--count N, --per-game N"),
        (["sample", "a", "--count", "9", "--into", "n"], "9 episodes are asked for, and there are 4"),
        (["head", "a", "--where", "steps <"], "column 8"),
        (["info", "a", "--where", "steps"], "steps < 20"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_leaves_nothing(oreo, two: Path, words: list[str], what: str) -> None:
    code, out, error = oreo("buffer", *words)
    assert (code, out) == (2, "") and error.count("\n") == 1 and what in error, error
    assert sorted(entry.name for entry in two.iterdir()) == ["a", "b"]


def test_head_numbers_episodes_as_the_buffer_does(oreo, two: Path) -> None:
    first = told(oreo, "buffer", "head", "a", "-n", 1, "--where", "not won")
    assert [(row["episode"], row["game"], row["length"]) for row in first] == [(1, "g", 2)]
    code, out, _ = oreo("buffer", "head", "a", "-n", 3)
    assert code == 0 and len(out.splitlines()) == 3 and out.startswith("0 won 1 steps reward 1 x g")


def test_replay_of_the_episodes_that_a_condition_means(oreo, two: Path) -> None:
    code, out, _ = oreo("replay", "a", "--where", "steps > 1 and won", "--episode", 0)
    assert code == 0 and "a2" in out
    code, _, error = oreo("replay", "a", "--where", "steps > 9")
    assert code == 2 and "holds 0 such episodes" in error
