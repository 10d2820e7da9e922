"""oreo.cli.screens: when the terminal program is started, and when lines are printed."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Callable

import pytest

from oreo.cli.screens import has_program, has_terminal, line_console, needs_program, stored_job
from oreo.errors import MissingExtra


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def sit_at_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("stdin", "stdout"):
        monkeypatch.setattr(sys, name, Terminal())
    monkeypatch.setenv("TERM", "xterm-256color")


def without_textual(find: Callable[..., object]) -> Callable[..., object]:
    return lambda name, *more: None if name == "textual" else find(name, *more)


def test_the_program_needs_a_terminal_textual_and_that_nobody_asks_for_lines(monkeypatch) -> None:
    sit_at_terminal(monkeypatch)
    assert has_terminal() and has_program(False) == (importlib.util.find_spec("textual") is not None)
    assert not has_program(True)
    monkeypatch.setattr(importlib.util, "find_spec", without_textual(importlib.util.find_spec))
    assert not has_program(False)
    with pytest.raises(MissingExtra, match=r"pip install 'oreo-agents\[tui\]'"):
        needs_program("oreo browse")
    monkeypatch.setenv("TERM", "dumb")
    assert not has_terminal()


def test_a_pipe_at_either_end_is_no_terminal(monkeypatch) -> None:
    sit_at_terminal(monkeypatch)
    monkeypatch.setattr(sys, "stdout", io.StringIO())
    assert not has_terminal()
    closed = Terminal()
    closed.close()
    monkeypatch.setattr(sys, "stdin", closed)
    assert not has_terminal()


def test_lines_that_were_asked_for_are_printed_as_such_on_a_terminal_too(monkeypatch) -> None:
    sit_at_terminal(monkeypatch)
    console = line_console(True)
    assert console is not None and not console.is_terminal
    assert line_console(False) is None


def test_a_stored_episode_is_gone_on_from_with_all_that_was_asked_for(tmp_path) -> None:
    from helpers.stored_episodes import KITCHEN

    job = stored_job(None, "expert", {"noise": 0.5}, tmp_path / "kept")(KITCHEN)
    assert (job.env, job.agent, job.config) == (KITCHEN.env_id, "expert", {"noise": 0.5})
    assert job.record == str(tmp_path / "kept") and job.stored is not None and job.stored["seed"] == 7
