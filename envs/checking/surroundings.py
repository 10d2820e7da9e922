"""What an environment has to leave as it is while it plays: global random generators and standard output."""

from __future__ import annotations

import io
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any

import numpy as np


def random_state() -> dict[str, Any]:
    """The state of every global generator, by the name of its library; torch's where torch is loaded."""
    kind, keys, position, *gauss = np.random.get_state()
    state: dict[str, Any] = {"random": random.getstate(), "numpy.random": (kind, bytes(keys), position, *gauss)}  # type: ignore[arg-type]
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "get_rng_state"):
        state["torch"] = bytes(torch.get_rng_state().numpy())
    return state


def seed_global(seed: int) -> None:
    """Put all global generators into one state, so that using them, a finding of its own, spoils no other check.

    It is not the state of that seed: an environment that seeds them with the seed it is given would change nothing.
    """
    seed += 7_654_321
    random.seed(seed)
    np.random.seed(seed % 2**32)
    if (torch := sys.modules.get("torch")) is not None and hasattr(torch, "manual_seed"):
        torch.manual_seed(seed)


@contextmanager
def global_random_kept() -> Iterator[None]:
    """Give the global generators their state back after the block."""
    python, numpy = random.getstate(), np.random.get_state()
    torch = sys.modules.get("torch")
    torch_state = torch.get_rng_state() if torch is not None and hasattr(torch, "get_rng_state") else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        if torch is not None and torch_state is not None:
            torch.set_rng_state(torch_state)


class Output:
    """What is printed to standard output in the block of `captured`, by Python and below it."""

    def __init__(self) -> None:
        self.python = io.StringIO()
        self.below = tempfile.TemporaryFile()
        self._seen = (0, 0)

    def new(self) -> str:
        """What has come since the last time."""
        seen = (self.python.tell(), os.fstat(self.below.fileno()).st_size)
        if seen == self._seen:
            return ""
        told = self.python.getvalue()[self._seen[0] :]
        self.below.seek(self._seen[1])
        told += self.below.read().decode(errors="replace")
        self._seen = seen
        return told


@contextmanager
def captured() -> Iterator[Output]:
    """Keep standard output for ourselves in the block."""
    output = Output()
    with suppress(OSError, ValueError, AttributeError):
        sys.stdout.flush()
    try:
        saved: int | None = os.dup(1)
    except OSError:  # closed: only what Python prints is seen
        saved = None
    try:
        if saved is not None:
            os.dup2(output.below.fileno(), 1)
        with redirect_stdout(output.python):
            yield output
    finally:
        if saved is not None:
            os.dup2(saved, 1)
            os.close(saved)
        output.below.close()


def open_files() -> int | None:
    """How many files this process has open; None where the system does not tell."""
    try:
        return len(os.listdir("/proc/self/fd"))
    except OSError:
        return None


def memory() -> int | None:
    """Bytes of memory that this process and its descendants have in use; None where the system does not tell."""
    try:
        return sum(_resident(pid) for pid in [os.getpid(), *_children(os.getpid())])
    except OSError:
        return None


def children() -> int | None:
    """How many processes this one and those have started that still run; None where the system does not tell."""
    try:
        return len(_children(os.getpid()))
    except OSError:
        return None


def _children(pid: int) -> list[int]:
    """All descendants: a library's process may have one of its own, such as Java's."""
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        own = [int(child) for child in file.read().split()]
    descendants = list(own)
    for child in own:
        with suppress(OSError):  # it has ended in between
            descendants += _children(child)
    return descendants


def _resident(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:  # it has ended in between
        return 0
