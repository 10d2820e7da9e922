"""Progress and complaints on standard error: harmless lines that tell no more than is certain."""

from __future__ import annotations

import contextlib
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.progress import Episodes, Updates, print_error
from oreo.text import steers

EVIL = "\x1b[2J\x07\x9b31m\x7f\u202e[bold]b[/nope] {task} \r\nforged"


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_tells_hostile_notes_harmlessly(capsys, monkeypatch, terminal: bool) -> None:
    if terminal:
        monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setattr("oreo.progress._SECONDS_BETWEEN_LINES", -1.0)
    with Episodes(EVIL, 3) as seen:
        seen.to(1, note=EVIL)
    with Updates("training") as updates:
        updates({"step": 1, "steps": 2, EVIL: 0.5})
    written = capsys.readouterr().err
    assert "\x9b" not in written and "\x07" not in written and "\u202e" not in written and "\x1b[2J" not in written


@given(st.text())
def test_an_error_is_a_line(message: str) -> None:
    with contextlib.redirect_stderr(io.StringIO()) as error:
        print_error(message)
    assert error.getvalue().count("\n") == 1 and not any(map(steers, error.getvalue()[:-1]))


def test_success_is_told_as_a_rate_when_all_have_ended(capsys, monkeypatch) -> None:
    monkeypatch.setattr("oreo.progress._SECONDS_BETWEEN_LINES", -1.0)
    with Episodes("evaluating", 4) as seen:
        for won in (True, True, False, False):
            seen.count(won)
    assert capsys.readouterr().err.splitlines() == [
        "evaluating: 1 of 4 won 1 of the 1 that ended first",
        "evaluating: 2 of 4 won 2 of the 2 that ended first",
        "evaluating: 3 of 4 won 2 of the 3 that ended first",
        "evaluating: 4 of 4 won 50%",
    ]
