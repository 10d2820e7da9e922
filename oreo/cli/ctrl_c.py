"""Ctrl-C, pressed once or in impatience: one line, no traceback."""

from __future__ import annotations

import atexit
import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from types import FrameType

from oreo.progress import print_error

_exit = os._exit
"""Python's own, also while code of others runs (oreo.plugins.exits_raised)."""
_PATIENCE = 2.0
"""Seconds that a command has for what it does when it is stopped. Who presses again before is not heard."""


class CtrlC:
    """The handler of SIGINT: the first raises KeyboardInterrupt, one long after it ends the process at once."""

    pressed: float | None = None
    """When it was pressed first, by the monotonic clock."""

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.pressed is None:
            self.pressed = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - self.pressed > _PATIENCE:
            self.end()

    def end(self) -> None:
        """End without waiting for anything."""
        for process in multiprocessing.active_children():
            process.kill()
        if sys.stderr.isatty():
            print("\x1b[?25h", end="", file=sys.stderr)  # progress bars hide the cursor
        print_error("stopped at once; what was stored before is kept")
        _exit(130)


@contextlib.contextmanager
def ctrl_c_once() -> Iterator[CtrlC]:
    """Handle Ctrl-C in the block, and after it as well where it was pressed: the interpreter still has to end."""
    handler = CtrlC()
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler or threading.current_thread() is not threading.main_thread():
        yield handler  # ignored, as in a shell's background jobs, or somebody else's business
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield handler
    finally:
        if handler.pressed is None:
            signal.signal(signal.SIGINT, before)
        else:
            # Python takes handlers back before its very end: the signal would kill it there, with another exit code.
            atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
