"""Killable processes that compare answers by math-verify: `verified(gold, answer, seconds)`.

At most WORKERS of them, started when first needed and kept. One that passes its deadline or dies is replaced. They
are plain subprocesses, so daemonic processes may have them, threads share them, and a forked process starts its own.
They end with the process that started them, however it ends. One process is in killable.py, what runs in it in
verifier.py.
"""

from __future__ import annotations

import atexit
import importlib.util
import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from oreo.envs.killable import Worker
from oreo.errors import MissingExtra

WORKERS = min(4, os.cpu_count() or 1)
"""Processes at most; threads beyond that number wait for one."""

_RUN = "from oreo.envs.math.verifier import main; main()"


class NoVerdict(Exception):
    """The deadline passed, or two processes died over the comparison one after the other."""


@lru_cache(maxsize=1024)
def verified(gold: str, answer: str, seconds: float) -> bool:
    """Return whether math-verify holds `answer` to be equal to `gold`. Verdicts are remembered.

    Args:
        seconds: the deadline, from when a process has been found for it.
    Raises:
        NoVerdict: see there. Not remembered: the machine may have been busy.
        MissingExtra: math-verify is not installed.
    """
    if importlib.util.find_spec("math_verify") is None:
        raise _missing()
    request = {"gold": gold, "answer": answer}
    for _ in range(2):  # a process that was killed by somebody else says nothing about the answer
        try:
            with _pool.worker() as worker:
                return bool(worker.ask(request, seconds)["equal"])
        except TimeoutError:
            break
        except ImportError as error:
            raise _missing(str(error)) from None
        except (EOFError, OSError) as error:
            reason = error
    else:
        warnings.warn(f"no verdict: grading processes die ({reason or 'without a word'})", RuntimeWarning, stacklevel=3)
    raise NoVerdict


def close() -> None:
    """End the processes. What is asked later starts new ones."""
    _pool.close()


def _missing(what: str = "") -> MissingExtra:
    because = f" ({what})" if what else ""
    return MissingExtra(
        f"answers that are not plain numbers or words are compared by math-verify{because}: "
        "pip install 'oreo-agents[math]'"
    )


class _Pool:
    """The processes of this process: those that are free, those that are not, and who waits for one."""

    def __init__(self) -> None:
        self.free: list[Worker] = []
        self.all: set[Worker] = set()
        self.taken = 0
        """Slots: processes in use or being started."""
        self.change = threading.Condition()

    @contextmanager
    def worker(self) -> Iterator[Worker]:
        """Lend a process. An exception in the block, whatever it is, ends the process: its answer is not due."""
        with self.change:
            while self.taken >= WORKERS:
                self.change.wait()
            self.taken += 1
        worker, keep = None, False
        try:
            worker = self.one_alive()
            if worker is None:
                worker = Worker(_RUN)
                self.all.add(worker)
            yield worker
            keep = not worker.retires
        finally:
            if worker is not None and not keep:
                self.all.discard(worker)
                worker.kill()
            with self.change:
                self.taken -= 1
                if keep and worker in self.all:  # else it was closed meanwhile
                    self.free.append(worker)
                self.change.notify()

    def one_alive(self) -> Worker | None:
        while True:
            with self.change:
                if not self.free:
                    return None
                worker = self.free.pop()
            if worker.process.poll() is None:
                return worker
            self.all.discard(worker)
            worker.kill()

    def close(self) -> None:
        with self.change:
            self.free.clear()
            while self.all:
                self.all.pop().kill()

    def disown(self) -> None:
        """Let go of all in a forked process: these belong to the one it was forked from."""
        for worker in self.all:
            worker.disown()


_pool = _Pool()


def _forked() -> None:
    global _pool
    _pool.disown()
    _pool = _Pool()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
