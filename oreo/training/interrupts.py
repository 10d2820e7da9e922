"""Ctrl-C and SIGTERM while training: both save a checkpoint and stop, and no update is half made."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

_HANGUP = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()  # the terminal was closed; Windows has no such signal
_SIGNALS = (signal.SIGINT, signal.SIGTERM, *_HANGUP)


@contextlib.contextmanager
def stop_requests(several: bool) -> Iterator[list[Any]]:
    """SIGTERM, what launchers and schedulers send, stops as Ctrl-C does.

    With several processes both are only noted, in the list that is given: all have to stop after the same update, and
    those that wait for each other cannot do so at any other moment. Alone, a process gets KeyboardInterrupt.
    """
    requests: list[Any] = []
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield requests
        return

    def note(*arguments: Any) -> None:
        requests.append(arguments)

    handlers: dict[signal.Signals, Any] = dict.fromkeys(_SIGNALS, note)
    if not several:
        handlers = dict.fromkeys((signal.SIGTERM, *_HANGUP), signal.default_int_handler)
    handlers = {  # what runs under nohup is to outlive its terminal
        number: handler
        for number, handler in handlers.items()
        if number not in _HANGUP or signal.getsignal(number) != signal.SIG_IGN
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM until the block is done, so that no update is half made."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[tuple[int, Any]] = []
    before = {number: signal.signal(number, lambda *arguments: pending.append(arguments)) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
    for arrived, frame in pending[:1]:
        handler = before[signal.Signals(arrived)]
        if callable(handler):
            handler(arrived, frame)
        elif handler == signal.SIG_DFL:
            signal.raise_signal(arrived)
