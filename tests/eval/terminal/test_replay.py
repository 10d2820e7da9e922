"""eval/terminal/replay.py: what is shown of a stored episode at each of its steps."""

from __future__ import annotations

from dataclasses import replace

import pytest

from oreo.eval.terminal.replay import outcome_of, replay, view_at
from oreo.trajectory import Step, Trajectory

TWO = Trajectory(
    "env", (Step("saw 0", "do 0"), Step("saw 1", "do 1")), "the end", False, True, False, task="tidy", game="kitchen"
)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({"won": True}, "won"),
        ({}, "out of steps"),
        ({"truncated": False, "terminated": True}, "lost"),
        ({"truncated": False, "terminated": True, "grade": "wrong_answer"}, "lost: wrong answer"),
    ],
)
def test_an_outcome_is_said_in_a_few_words(changes: dict[str, object], outcome: str) -> None:
    assert outcome_of(replace(TWO, **changes)) == outcome  # type: ignore[arg-type]


def test_a_view_shows_what_was_seen_after_so_many_steps_and_the_outcome_at_the_end_alone() -> None:
    views = [view_at(TWO, position) for position in range(3)]
    assert [view.observation for view in views] == ["saw 0", "saw 1", "the end"]
    assert [view.steps for view in views] == [(), TWO.steps[:1], TWO.steps]
    assert [view.outcome for view in views] == ["", "", "out of steps"]
    assert {(view.task, view.game, view.length) for view in views} == {("tidy", "kitchen", 2)}


def test_where_there_is_no_terminal_every_step_is_printed_once(capsys: pytest.CaptureFixture[str]) -> None:
    replay(TWO, delay=0)
    shown = capsys.readouterr().out
    assert [shown.count(text) for text in ("do 0", "do 1", "the end")] == [1, 1, 1]
