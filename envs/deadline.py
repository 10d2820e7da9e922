"""A deadline for code of others, kept by the process's alarm clock.

The alarm interrupts Python code and calls that wait, such as time.sleep; a library that computes in C and never comes
back to Python is not interrupted before it does. Engines that may do so have a process of their own (see killable.py).
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from oreo.errors import EngineError, UsageError


class _Alarm(BaseException):
    """Raised where the code is when its time is over; no `except Exception` takes it for an error of its own."""


def can_interrupt() -> bool:
    """Whether a deadline can be kept here: the system has an alarm clock, and this is the thread that hears it."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@contextmanager
def deadline(seconds: float | None, what: str = "it") -> Iterator[None]:
    """Interrupt the block after so many seconds; None: never.

    Raises:
        EngineError: the block took longer, whatever its code made of being interrupted.
        UsageError: no deadline can be kept here.
    """
    if seconds is None:
        yield
        return
    if not seconds > 0:
        raise UsageError(f"a deadline of {seconds:g} s: expected more than 0")
    if not can_interrupt():
        raise UsageError(
            "a deadline for steps is kept by the system's alarm clock, in the main thread: "
            "this thread or system has none; leave the deadline out"
        )
    alarm = _Clock()
    before = signal.signal(signal.SIGALRM, alarm)
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds)
            yield
        finally:
            alarm.running = False
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if alarm.rang:
            raise EngineError(f"{what} took longer than {seconds:g} s") from error
        raise
    if alarm.rang:
        raise EngineError(f"{what} took longer than {seconds:g} s")


class _Clock:
    """The handler of the alarm."""

    running = True
    rang = False

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.running:
            self.rang = True
            raise _Alarm
