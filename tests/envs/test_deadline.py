"""A deadline interrupts what waits and what computes, whatever its code makes of that, and nothing after it."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable

import pytest

from oreo.envs.deadline import can_interrupt, deadline
from oreo.errors import EngineError, UsageError


def sleeps() -> None:
    time.sleep(30)


def computes() -> None:
    while True:
        pass


def swallows() -> None:
    try:
        time.sleep(30)
    except BaseException:
        pass


def translates() -> None:
    try:
        time.sleep(30)
    except BaseException as error:
        raise ValueError("something else") from error


@pytest.mark.parametrize("late", [sleeps, computes, swallows, translates])
def test_what_takes_longer_is_interrupted(late: Callable[[], None]) -> None:
    with pytest.raises(EngineError, match=r"^step took longer than 0.05 s$"), deadline(0.05, "step"):
        late()


def test_what_is_in_time_is_left_alone_and_the_alarm_is_given_back() -> None:
    before = signal.getsignal(signal.SIGALRM)
    with deadline(0.05):
        value = 1
    time.sleep(0.1)
    assert value == 1 and signal.getsignal(signal.SIGALRM) is before


def test_errors_of_the_block_and_ctrl_c_go_through() -> None:
    for error in (KeyError("x"), KeyboardInterrupt()):
        with pytest.raises(type(error)), deadline(5):
            raise error


def test_without_seconds_there_is_none() -> None:
    with deadline(None):
        pass
    with pytest.raises(UsageError, match="more than 0"), deadline(0):
        pass


def test_where_no_alarm_is_heard_it_is_refused() -> None:
    refused: list[object] = []

    def elsewhere() -> None:
        refused.append(can_interrupt())
        try:
            with deadline(1):
                pass
        except UsageError as error:
            refused.append(error)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert refused[0] is False and "main thread" in str(refused[1])
