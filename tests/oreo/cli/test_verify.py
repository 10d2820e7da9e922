"""`oreo buffer verify`: what it prints, and how it ends."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from oreo.data.buffer import TrajectoryBuffer
from oreo.rollouts.loop import rollout

ENV = "oreo/ALFWorld-v0"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A buffer of an episode as it was played, and one that claims another outcome."""
    with TrajectoryBuffer(tmp_path / "a") as buffer:
        buffer.append(rollout(ENV, agent="expert", episodes=1)[0])
        buffer.append(replace(rollout(ENV, agent="random", episodes=1, max_steps=3)[0], won=True))
    return tmp_path


def test_verify_names_the_first_difference_and_repairs_into_a_new_buffer(oreo, two: Path) -> None:
    code, out, _ = oreo("buffer", "verify", "a")
    assert code == 1 and "episode 1, step 3: won is stored as true and was false" in out
    code, out, _ = oreo("buffer", "verify", "a", "--json")
    told = json.loads(out)
    assert code == 1 and (told["episodes"], told["reproduce"], told["claimed_and_not_won"]) == (2, 1, 1)
    assert told["first_difference"] == {"won": 1} and told["not_reproduced"][0]["episode"] == 1
    code, out, _ = oreo("buffer", "verify", "a", "--repair", "r", "--json")
    assert code == 0 and json.loads(out)["repaired"] == "r"
    first, second = TrajectoryBuffer("r", create=False)
    assert first.won and not second.won and second.extra["verified"]["outcome_holds"] is False  # type: ignore[index]
    assert oreo("buffer", "verify", "r")[0] == 0
    assert [one.won for one in TrajectoryBuffer("a", create=False)] == [True, True]
    assert oreo("buffer", "verify", "a", "--where", "steps > 3")[0] == 0


def test_what_is_more_than_a_text_that_was_cut_is_named_first(oreo, two: Path) -> None:
    with TrajectoryBuffer("b") as buffer:
        for episode in reversed([replace(one, final_observation="") for one in TrajectoryBuffer("a", create=False)]):
            first, *others = episode.steps
            cut = replace(first, observation=first.observation[-20:])
            buffer.append(replace(episode, steps=(cut, *others)))
        buffer.append(buffer[0])
    _, out, _ = oreo("buffer", "verify", "b")
    told = [line.partition(": ") for line in out.splitlines() if line.startswith("episode ")]
    assert [where for where, _, _ in told] == ["episode 0, step 3", "episode 2, step 3", "episode 1, step 0"]
    assert [what.partition(" ")[0] for _, _, what in told] == ["won", "won", "observation"]


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (["--resume"], "name it"),
        (["--repair", "r", "--report", "f"], "give one of --repair and --report"),
        (["--repair", "a"], "a is there already"),
        (["--env-arg", "split"], "expected KEY=VALUE"),
    ],
)
def test_what_cannot_be_done_is_one_line(oreo, two: Path, words: list[str], what: str) -> None:
    code, out, error = oreo("buffer", "verify", "a", *words)
    assert (code, out) == (2, "") and error.count("\n") == 1 and what in error, error
