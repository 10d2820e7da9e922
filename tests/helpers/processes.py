"""Whether processes are there: for tests of those that grade."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


LONG = 120.0
"""Seconds to wait for what happens at once on an idle machine: who waits so long sees a fault, not a busy machine."""


def gone(processes: Sequence[int], within: float = LONG) -> bool:
    """Whether all of them end within so many seconds."""
    until = time.monotonic() + within
    while any(map(alive, processes)) and time.monotonic() < until:
        time.sleep(0.05)
    return not any(map(alive, processes))
