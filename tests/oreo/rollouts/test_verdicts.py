"""Verdicts are kept as they come: a run that is killed goes on, and has each once."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import DataError, UsageError
from oreo.rollouts.loop import rollout
from oreo.rollouts.verdicts import Ledger, repaired, report, summary, verify_all
from oreo.rollouts.verify import Verifier

GUESS = f"{Path(__file__).parents[3] / 'examples' / 'guess.py'}:Guess"


@pytest.fixture
def source(tmp_path: Path) -> TrajectoryBuffer:
    with TrajectoryBuffer(tmp_path / "a") as buffer:
        rollout(GUESS, agent="expert", episodes=6, into=buffer)
        episodes = list(buffer)
    return TrajectoryBuffer(tmp_path / "a") if episodes else buffer


class Killed(Exception):
    pass


def killed_after(count: int) -> Any:
    def on_verdict(verdicts: dict[int, Any]) -> None:
        if len(verdicts) == count:
            raise Killed

    return on_verdict


@pytest.mark.parametrize("ledger", [report, repaired])
def test_a_run_that_was_killed_goes_on(ledger: Any, source: TrajectoryBuffer, tmp_path: Path) -> None:
    view, into = source.where("steps > 1"), tmp_path / "kept"
    played: Counter[int] = Counter()

    class Counting(Verifier):
        def verify(self, episode: Any) -> Any:
            played[episode.seed] += 1
            return super().verify(episode)

    with Counting(GUESS) as verifier:
        for after in (1, 3):
            with pytest.raises(Killed), ledger(into, view, resume=after > 1) as kept:
                verify_all(view, verifier, kept, killed_after(after))
        if ledger is report:
            with into.open("ab") as file:
                file.write(b'{"episode": 5, "ga')  # killed in the middle of a line
        with ledger(into, view, resume=True) as kept:
            verdicts = verify_all(view, verifier, kept)
        with pytest.raises(UsageError, match="--resume to go on"), ledger(into, view, resume=False):
            pass
    assert set(played.values()) == {1} and len(verdicts) == len(view) == len(played)
    assert summary(verdicts)["reproduce"] == len(view)
    if ledger is report:
        assert [json.loads(line)["episode"] for line in into.read_text().splitlines()] == list(verdicts)
    else:
        again = list(TrajectoryBuffer(into))
        assert [one.steps for one in again] == [one.steps for one in view]
        assert [one.extra["came_from"][-1]["episode"] for one in again] == list(verdicts)  # type: ignore[index]


def test_verdicts_of_another_buffer_are_refused(source: TrajectoryBuffer, tmp_path: Path) -> None:
    with Verifier(GUESS) as verifier, repaired(tmp_path / "r", source.where(), resume=False) as kept:
        verify_all(source.where("steps > 1"), verifier, kept)
    with pytest.raises(DataError, match="no repaired ones of"):
        with repaired(source.path, source.where(), resume=True):
            pass
    (tmp_path / "report").write_text(
        '{"episode": 0, "game": "other", "reproduces": true, "beyond_cut_texts": null, "error": ""}\n'
    )
    with pytest.raises(DataError, match="another buffer"), report(tmp_path / "report", source.where(), resume=True):
        pass
    (tmp_path / "report").write_text("[]\n")
    with pytest.raises(DataError, match="line 1: it is no verdict"):
        with report(tmp_path / "report", source.where(), resume=True):
            pass


def test_without_a_ledger_nothing_is_kept(source: TrajectoryBuffer, tmp_path: Path) -> None:
    with Verifier(GUESS) as verifier:
        assert summary(verify_all(source.where(), verifier, Ledger()))["reproduce"] == 6
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]
