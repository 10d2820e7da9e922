"""eval/terminal/keys.py: keys are read one by one, and the terminal is put back."""

from __future__ import annotations

import os
import sys
import time

import pytest

from oreo.eval.terminal.keys import Keys


@pytest.mark.parametrize(
    ("pressed", "key"),
    [(b" ", "pause"), (b"n", "next"), (b"\n", "next"), (b"\x1b[C", "next"), (b"\x1b[D", "back"), (b"q", "quit")],
)
def test_keys_are_read_without_enter(keyboard: int, pressed: bytes, key: str) -> None:
    with Keys() as keys:
        os.write(keyboard, pressed)
        assert keys.wait(5.0) == key


def test_other_keys_are_no_keys_and_time_passes(keyboard: int) -> None:
    with Keys() as keys:
        os.write(keyboard, b"x")
        assert keys.wait(0.05) is None


def test_the_terminal_is_as_before_even_after_an_error(keyboard: int) -> None:
    termios = pytest.importorskip("termios")
    before = termios.tcgetattr(sys.stdin)
    with pytest.raises(KeyboardInterrupt), Keys() as keys:
        assert keys.available
        assert termios.tcgetattr(sys.stdin) != before
        raise KeyboardInterrupt
    assert termios.tcgetattr(sys.stdin) == before


def test_without_a_keyboard_only_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    began = time.monotonic()
    with Keys() as keys:
        assert not keys.available and keys.wait(0.01) is None
    assert time.monotonic() - began >= 0.01


def test_a_keyboard_that_is_gone_means_to_leave(monkeypatch: pytest.MonkeyPatch, keyboard: int) -> None:
    with Keys() as keys:
        monkeypatch.setattr(os, "read", lambda file, count: b"")
        os.write(keyboard, b"n")
        assert keys.wait(5.0) == "quit"
