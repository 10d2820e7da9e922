"""oreo.cli.playing: what environments print and what their errors cost."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from oreo.cli.playing import SHOWN, Failures, OnError, patience, stdout_kept
from oreo.errors import EngineError, UsageError


def test_an_error_that_stops_everything_keeps_its_kind_and_says_how_it_would_not() -> None:
    with pytest.raises(EngineError, match="^it broke; with --on-error skip it would cost its episode only$"):
        Failures(OnError.stop, patience=10)(EngineError("it broke"))
    with pytest.raises(UsageError):
        Failures(OnError.stop, patience=10)(UsageError("no such game"))


def test_errors_that_are_skipped_get_a_line_each_up_to_some_and_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    failures = Failures(OnError.skip, patience=100)
    for number in range(SHOWN + 3):
        failures(EngineError(f"error {number}"))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == SHOWN + 1 and "error 0; this episode is left out" in lines[0]
    assert "counted only" in lines[-1] and failures.count == SHOWN + 3


def test_too_many_in_a_row_are_no_accident_and_an_episode_that_ends_well_begins_the_row_anew() -> None:
    failures = Failures(OnError.skip, patience=2)
    for _ in range(3):
        failures(EngineError("now and then"))
        failures(EngineError("now and then"))
        failures.passed()
    failures(EngineError("now and then"))
    failures(EngineError("now and then"))
    with pytest.raises(EngineError, match="^3 episodes failed one after the other, the last so: always$"):
        failures(EngineError("always"))


def test_where_nothing_ended_well_the_last_error_is_the_commands() -> None:
    failures = Failures(OnError.skip, patience=10)
    failures.check(ended=0)
    failures(EngineError("it broke"))
    failures.check(ended=1)
    with pytest.raises(EngineError, match="^no episode ended without an error, the last so: it broke$"):
        failures.check(ended=0)


def test_patience_lasts_for_all_that_may_fail_before_any_can_end() -> None:
    assert patience(8, workers=4) > 8 * 4 and patience(32) > 32


def test_what_is_printed_in_the_block_goes_to_standard_error_from_below_python_and_other_processes_too(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with stdout_kept():
        print("by python")
        os.write(1, b"below python\n")
        subprocess.run([sys.executable, "-S", "-c", "print('by another process')"], check=True)
    print("the result")
    shown = capfd.readouterr()
    assert shown.out == "the result\n"
    assert all(words in shown.err for words in ("by python", "below python", "by another process"))
