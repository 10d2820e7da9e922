"""Workers as processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from typing import Any

from oreo.rollouts.links import Job, work


class _Process:
    """The link to one: a pipe."""

    def __init__(self, job: Job, workers: int) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks and GPU contexts
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_main, args=(theirs, job), daemon=True)
        with _few_threads(workers):
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

    def fate(self) -> str:
        return f"exit code {self.process.exitcode}"


def _ready(links: list[_Process]) -> list[_Process]:
    pipes: list[Any] = [link.pipe for link in links]
    ready = wait(pipes)
    return [link for link in links if link.pipe in ready]


@contextmanager
def _few_threads(workers: int) -> Iterator[None]:
    """Processes started here share the cores: with a thread per core in each, they would wait for one another."""
    name = "OMP_NUM_THREADS"
    before = os.environ.get(name)
    os.environ[name] = before or str(max(1, (os.cpu_count() or 1) // workers))
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]


def _main(pipe: Connection, job: Job) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
    work(pipe, job)
