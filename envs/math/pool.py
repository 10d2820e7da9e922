"""Killable processes that compare answers by math-verify: `verified(gold, answer, seconds)`.

At most WORKERS of them, started when first needed and kept. One that passes its deadline or dies is replaced. They
are plain subprocesses, so daemonic processes may have them, threads share them, and a forked process starts its own.
They end with the process that started them, however it ends. What runs in them is in verifier.py.
"""

from __future__ import annotations

import atexit
import importlib.util
import json
import os
import select
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import Any

from oreo.errors import MissingExtra

WORKERS = min(4, os.cpu_count() or 1)
"""Processes at most; threads beyond that number wait for one."""
STARTING = 120.0
"""Seconds for a process to import math-verify: one, unless the disk or the machine is very busy."""

_RUN = "import sys; sys.path[:] = sys.argv[1:]; from oreo.envs.math.verifier import main; main()"


class NoVerdict(Exception):
    """The deadline passed, or two processes died over the comparison one after the other."""


@lru_cache(maxsize=1024)
def verified(gold: str, answer: str, seconds: float) -> bool:
    """Whether math-verify holds `answer` to be equal to `gold`. Verdicts are remembered.

    Args:
        seconds: the deadline, from when a process has been found for it.
    Raises:
        NoVerdict: see there. Not remembered: the machine may have been busy.
        MissingExtra: math-verify is not installed.
    """
    if importlib.util.find_spec("math_verify") is None:
        raise _missing()
    request = {"gold": gold, "answer": answer, "seconds": seconds}
    for _ in range(2):  # a process that was killed by somebody else says nothing about the answer
        try:
            with _pool.worker() as worker:
                return bool(worker.ask(request, seconds)["equal"])
        except TimeoutError:
            break
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


class _Worker:
    """One process, and the two pipes to it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _RUN, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # Ctrl-C in the terminal is for the process that asks
            env=os.environ | {"PYTHONHASHSEED": "0"},  # sympy's order of terms, and with it every verdict
        )
        self.retires = False
        self.ready = False

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Raises TimeoutError at the deadline, EOFError or OSError when the process is dead, MissingExtra."""
        if not self.ready:
            try:
                hello = self._read(STARTING)
            except TimeoutError:
                raise OSError(f"one did not start within {STARTING:.0f} s") from None
            if "missing" in hello:
                raise _missing(hello["missing"])
            self.ready = True
        assert self.process.stdin is not None
        line = json.dumps(request).encode() + b"\n"
        assert len(line) < 1 << 16, "a longer one could block: the process reads it when it has read all of it"
        self.process.stdin.write(line)
        answer = self._read(seconds)
        self.retires = answer["retires"]
        return answer

    def _read(self, seconds: float) -> dict[str, Any]:
        """The next line. (poll, not select: with many files open, their numbers are too high for select.)"""
        assert self.process.stdout is not None
        pipe, line, until = self.process.stdout.fileno(), b"", time.monotonic() + seconds
        waiting = select.poll()
        waiting.register(pipe, select.POLLIN)
        while not line.endswith(b"\n"):
            if not waiting.poll(max(0.0, until - time.monotonic()) * 1000):
                raise TimeoutError
            part = os.read(pipe, 1 << 16)
            if not part:
                raise EOFError
            line += part
        return dict(json.loads(line))

    def close_pipes(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.close_pipes()


class _Pool:
    """The processes of this process: those that are free, those that are not, and who waits for one."""

    def __init__(self) -> None:
        self.free: list[_Worker] = []
        self.all: set[_Worker] = set()
        self.taken = 0
        """Slots: processes in use or being started."""
        self.change = threading.Condition()

    @contextmanager
    def worker(self) -> Iterator[_Worker]:
        """A process to oneself. An exception in the block, whatever it is, ends the process: its answer is not due."""
        with self.change:
            while self.taken >= WORKERS:
                self.change.wait()
            self.taken += 1
        worker, keep = None, False
        try:
            worker = self.one_alive()
            if worker is None:
                worker = _Worker()
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

    def one_alive(self) -> _Worker | None:
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
        """In a forked process: these belong to the one it was forked from."""
        for worker in self.all:
            worker.close_pipes()
            worker.process.returncode = 0  # else Popen would ask for a process that is no child


_pool = _Pool()


def _forked() -> None:
    global _pool
    _pool.disown()
    _pool = _Pool()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
