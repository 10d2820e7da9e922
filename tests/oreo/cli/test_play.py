"""`oreo play`, without a terminal: a line of standard input is an action."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import pytest

from helpers.commands import GUESS
from oreo.data.buffer import TrajectoryBuffer


def test_lines_are_actions_and_the_episode_is_kept_as_a_demonstration(
    oreo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("?\n\n50\n" + "\n".join(map(str, range(30, 50)))))
    code, out, error = oreo("play", "--env", GUESS, "--seed", 5, "--record", "mine")
    assert code == 0, error
    lines = out.splitlines()
    assert "this environment does not say what it accepts" in lines and "  1 > 50   (by a person)" in lines
    (episode,) = TrajectoryBuffer(tmp_path / "mine", create=False)
    assert episode.agent == "person" and episode.steps[0].action == "50"
    assert lines[-1] == f"{'won' if episode.won else 'out of steps'} after {len(episode)} steps, return " + (
        "1" if episode.won else "0"
    )


def test_who_stops_before_the_end_keeps_nothing_and_is_told(
    oreo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("no number\n"))
    code, _, error = oreo("play", "--env", GUESS, "--record", "mine")
    assert code == 0 and "the episode had not ended and is not in mine" in error
    assert not (tmp_path / "mine").exists()


def test_human_as_an_agent_is_told_of_play(oreo) -> None:
    code, _, error = oreo("watch", "--env", GUESS, "--agent", "human")
    assert code == 2 and "a person plays with `oreo play`" in error


def test_what_needs_a_terminal_says_so(oreo, buffer: Path, tmp_path: Path) -> None:
    for words in (
        ["browse", buffer],
        ["replay", buffer, "--pair", buffer],
        ["watch", buffer, "--follow"],
        ["watch", "--env", GUESS, "--agent", "expert", "--agent", "random"],
    ):
        code, _, error = oreo(*words)
        assert code == 1 and ("needs a terminal" in error or "oreo-agents[tui]" in error), words
    for words, message in (
        (["watch", buffer], "of a buffer say --follow"),
        (["watch", "--follow"], "oreo watch BUFFER --follow"),
        (["browse", "nowhere"], "there is no such buffer"),
        (["replay", buffer, "--pair", "nowhere"], "there is no such buffer"),
    ):
        code, _, error = oreo(*words)
        assert code == 2 and message in error, words
