"""Workers as processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from oreo.rollouts.links import Job, Place, work


@contextmanager
def processes(job: Job, workers: int) -> Iterator[Place]:
    """Where up to `workers` of them share the cores."""
    yield Place(lambda: Process(job, workers), _wait)


class Process:
    """The link to one: a pipe (see oreo.rollouts.links.Link)."""

    def __init__(self, job: Job, workers: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks and GPU contexts
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_main, args=(theirs, job), daemon=True)
        with few_threads(workers), interrupts_held_back():
            self.process.start()
        theirs.close()  # else the pipe would not end with the process

    def recv(self) -> list[Any]:
        return [self.pipe.recv()]

    def send(self, portion: list[int]) -> None:
        self.pipe.send(portion)

    def join(self) -> None:
        self.process.join()

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def exit_reason(self) -> str:
        return f"exit code {self.process.exitcode}"


def _wait(links: Sequence[Process]) -> list[Process]:
    pipes: list[Any] = [link.pipe for link in links]
    ready = wait(pipes)
    return [link for link in links if link.pipe in ready]


@contextmanager
def few_threads(workers: int) -> Iterator[None]:
    """Let processes started in the block share the cores.

    With a thread per core in each, they would wait for one another.
    """
    name = "OMP_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = before or str(max(1, (os.cpu_count() or 1) // workers))
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


@contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Let a process that is started in the block never see Ctrl-C, from its first instruction on.

    It reaches all processes of a terminal, and the first one decides; one that is still importing would print a
    traceback. For the caller it waits until the block is done.
    """
    held: list[int] = []
    # The mask is for the process that is started, which inherits it. Here another thread may still take the signal,
    # and then Python runs the handler in this one.
    handler = signal.getsignal(signal.SIGINT)
    ours = handler is not None and threading.current_thread() is threading.main_thread()
    before = None
    if hasattr(signal, "pthread_sigmask"):  # Windows has none
        resource_tracker.ensure_running()  # it unblocks signals when it begins, which would be in the block
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    if ours:
        signal.signal(signal.SIGINT, lambda number, _frame: held.append(number))
    try:
        yield
    finally:
        if before is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        if ours:
            signal.signal(signal.SIGINT, handler)
        if held:
            signal.raise_signal(signal.SIGINT)


def _main(pipe: Connection, job: Job) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # where it could not be blocked before this
    work(pipe, job)
