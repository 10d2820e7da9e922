"""Ctrl-C and SIGTERM while training: no update is half made."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def _asked_to_stop(several: bool) -> Iterator[list[Any]]:
    """With several processes, note Ctrl-C and SIGTERM (what launchers send) and go on: all have to stop after the same
    update, and those that wait for each other cannot do so at any other moment."""
    asked: list[Any] = []
    if not several or threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {
        each: signal.signal(each, lambda *arguments: asked.append(arguments))
        for each in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield asked
    finally:
        for each, handler in before.items():
            signal.signal(each, handler if handler is not None else signal.SIG_DFL)


@contextlib.contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C until the block is done, so that no update is half made. Only the main thread gets signals."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[Any] = []
    before = signal.signal(signal.SIGINT, lambda *arguments: pending.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before if before is not None else signal.default_int_handler)
    if pending and callable(before):
        before(*pending[0])
