"""Single key presses from the terminal, without waiting for Enter. Where there is no keyboard, only time passes."""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import Any

_ARROWS = {b"\x1b[C": "next", b"\x1b[D": "back", b"\x1bOC": "next", b"\x1bOD": "back"}
_KEYS = {b" ": "pause", b"n": "next", b"\r": "next", b"\n": "next", b"p": "back", b"b": "back", b"q": "quit"}


class Keys:
    """Puts the terminal into cbreak mode while it is open, and back whatever happens.

    with Keys() as keys:
        key = keys.wait(0.5)      # "next", "back", "pause", "quit", or None after half a second
    """

    def __init__(self) -> None:
        self._before: list[Any] | None = None
        self.available = False

    def __enter__(self) -> Keys:
        try:
            import termios
            import tty

            if sys.stdin is not None and sys.stdin.isatty():
                self._before = termios.tcgetattr(sys.stdin)
                tty.setcbreak(sys.stdin)
                self.available = True
        except (ImportError, OSError, ValueError):  # Windows; a closed or replaced stdin
            self.available = False
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._before is not None:
            import termios

            termios.tcsetattr(sys.stdin, termios.TCSADRAIN, self._before)
            self._before, self.available = None, False

    def wait(self, seconds: float | None) -> str | None:
        """The next key that means something, or None when `seconds` are over (None: wait for ever)."""
        if not self.available:
            time.sleep(seconds or 0)
            return None
        import select

        deadline = None if seconds is None else time.monotonic() + seconds
        while True:
            remaining = None if deadline is None else max(0.0, deadline - time.monotonic())
            if not select.select([sys.stdin], [], [], remaining)[0]:
                return None
            pressed = os.read(sys.stdin.fileno(), 8)
            if not pressed:  # the terminal is gone
                return "quit"
            key = _ARROWS.get(pressed) or _KEYS.get(pressed[:1])
            if key is not None:
                return key
