"""Collecting with several workers: each plays episodes and writes them into shards of its own.

    collect("oreo/ALFWorld-v0", agent="expert", episodes=10_000, into="runs/kitchen", workers=4)

An episode is seeded by its index, so it does not matter which worker plays it. Indices are handed out as they are
asked for. A worker that dies costs what it had under way: others play that again. What it had stored and not yet
reported is found in its files, so nothing is played twice.

A worker is a process of this machine; with ray=True, an actor on a cluster: oreo/ray_workers.py has what differs.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Protocol

from oreo.data import journal
from oreo.data.buffer import TrajectoryBuffer
from oreo.data.writers import adopt_orphans
from oreo.errors import EngineError, OreoError, UsageError
from oreo.rollouts import play, seeds

MOST_DEATHS = 3
"""Workers that may die one after the other without an episode being stored in between."""
LONGEST_LOCK = 150.0
"""Seconds until the files of a dead worker have to be free. NFS keeps the locks of a lost machine for 90."""


@dataclass(frozen=True)
class Job:
    """What each worker is told at first."""

    into: Path
    agent: str
    agent_settings: dict[str, Any]
    playing: dict[str, Any]
    """Arguments of `oreo.rollouts.play`."""


class Link(Protocol):
    """The way to one worker, which runs `work` with the other end."""

    def recv(self) -> list[Any]:
        """What it has said: one message or more. EOFError, OSError: it is dead."""

    def send(self, portion: list[int]) -> None:
        """Indices to play; none: there is no more to do."""

    def join(self) -> None:
        """See it off when it has ended or is dead."""

    def kill(self) -> None: ...

    def fate(self) -> str:
        """What it died of."""


Ready = Callable[[list[Any]], list[Any]]
"""Waits until some of these links have something to say, and tells which."""


@dataclass
class _Worker:
    link: Link
    writer: str = ""
    """The name its files begin with."""
    given: list[int] = field(default_factory=list)
    """Indices of episodes it has not reported yet."""
    stored: list[int] = field(default_factory=list)
    """Indices of those it has, in that order."""


def collect(
    env: str,
    *,
    agent: str,
    episodes: int,
    indices: Sequence[int] | None = None,
    into: str | os.PathLike[str],
    workers: int,
    agent_settings: dict[str, Any] | None = None,
    seed: int = 0,
    batch_size: int = 32,
    max_steps: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
    games: Sequence[str] | None = None,
    on_episode: Callable[[bool], object] | None = None,
    sample: int = 0,
    ray: bool = False,
) -> None:
    """Play episodes 0 … episodes - 1 with several workers; the buffer then holds each of them once, in any order.

    A script that calls this needs `if __name__ == "__main__":`, as always where Python starts processes.

    Args:
        agent: what `oreo.agents.load_agent` takes, with `agent_settings`; each worker loads its own.
        indices: play just these of the episodes.
        into: the buffer's folder.
        workers: how many; each has `batch_size` episodes under way.
        on_episode: called when an episode is stored, with whether it was won.
        ray: workers on a Ray cluster (see oreo.ray_workers), instead of processes of this machine.
        sample: as for `oreo.rollouts.play`.
        env, seed, batch_size, max_steps, env_kwargs, games: as for `oreo.rollout`.
    Raises:
        EngineError: workers that die again and again. What was stored stays.
        MissingExtra: ray=True, and Ray is not installed.
        OreoError: whatever the environment or the agent finds wrong.
    """
    if workers < 1 or episodes < 0:
        raise UsageError(f"workers={workers}, episodes={episodes}: expected 1 or more workers and 0 or more episodes")
    playing = {
        "env": env,
        "seed": seed,
        "batch_size": batch_size,
        "max_steps": max_steps,
        "env_kwargs": env_kwargs,
        "games": games,
        "sample": sample,
    }
    buffer = TrajectoryBuffer(into)  # made before several processes make it at once
    job = Job(buffer.path.absolute(), agent, agent_settings or {}, playing)
    place: AbstractContextManager[tuple[Callable[[], Link], Ready]]
    if ray:
        from oreo.ray_workers import cluster

        place = cluster(job, workers)
    else:
        place = nullcontext((lambda: _Process(job, workers), _ready))
    with place as (new_link, ready):
        crew = _Crew(
            job,
            buffer,
            range(episodes) if indices is None else indices,
            workers,
            on_episode or (lambda won: None),
            new_link,
            ready,
        )
        try:
            crew.work()
        finally:
            crew.dismiss()


class _Crew:
    """The workers, what is left to hand out to them, and what is to be done about their messages."""

    def __init__(
        self,
        job: Job,
        buffer: TrajectoryBuffer,
        indices: Sequence[int],
        workers: int,
        on_episode: Callable[[bool], object],
        new_link: Callable[[], Link],
        ready: Ready,
    ) -> None:
        self.job, self.buffer, self.workers, self.on_episode = job, buffer, workers, on_episode
        self.new_link, self.ready = new_link, ready
        self.waiting = list(reversed(indices))
        """Indices to hand out, the next one last."""
        self.members: list[_Worker] = []
        self.deaths = 0
        """Since an episode was stored last."""
        self.told: set[int] = set()
        """Indices that `on_episode` was called for."""

    def work(self) -> None:
        for _ in range(min(self.workers, len(self.waiting))):
            self.hire()
        # Who has not begun to write when all is handed out is not waited for: on a full cluster that could be long.
        while self.waiting or any(worker.writer for worker in self.members):
            ready = self.ready([worker.link for worker in self.members])
            for worker in [worker for worker in self.members if worker.link in ready]:
                self.hear(worker)
        self.dismiss()
        adopt_orphans(self.buffer.path)

    def hire(self) -> None:
        self.members.append(_Worker(self.new_link()))

    def hear(self, worker: _Worker) -> None:
        try:
            messages = worker.link.recv()
        except (EOFError, OSError):
            return self.bury(worker)
        for message, *details in messages:
            self.heed(worker, message, *details)

    def heed(self, worker: _Worker, message: str, *details: Any) -> None:
        if message == "more":
            with suppress(OSError):  # it has died since; what it was given is handed out again when it is buried
                worker.link.send(self.portion(worker))
        elif message == "writes":
            (worker.writer,) = details
        elif message == "stored":
            self.stored(worker, *details)
        elif message == "warning":
            warnings.warn(details[0], stacklevel=2)  # of equal ones Python shows the first
        elif message == "error":
            raise details[0]
        else:
            self.members.remove(worker)
            worker.link.join()

    def portion(self, worker: _Worker) -> list[int]:
        """The next indices for a worker: few when few are left, so that all end at about the same time."""
        most = max(1, min(self.job.playing["batch_size"], len(self.waiting) // (2 * self.workers)))
        given = [self.waiting.pop() for _ in range(min(most, len(self.waiting)))]
        worker.given += given
        return given

    def stored(self, worker: _Worker, index: int, won: bool) -> None:
        worker.given.remove(index)
        worker.stored.append(index)
        self.deaths = 0
        if index not in self.told:
            self.told.add(index)
            self.on_episode(won)

    def bury(self, worker: _Worker) -> None:
        """What a dead worker had under way goes to others, but for what its files hold."""
        self.members.remove(worker)
        worker.link.join()
        self.deaths += 1
        kept = _taken_over(self.buffer, worker.writer) if worker.writer else []
        # With its machine, what it had reported may be gone as well: its file was not written through yet.
        lost = worker.stored[len(kept) :]
        seed = self.job.playing["seed"]
        for env_seed, won in kept[len(worker.stored) :]:
            index = next(index for index in worker.given if seeds(seed, index)[0] == env_seed)
            self.stored(worker, index, won)
        self.waiting += reversed(lost + worker.given)
        if self.deaths > MOST_DEATHS:
            raise EngineError(
                f"{self.deaths} workers died one after the other, the last with {worker.link.fate()}; what was stored "
                "stays. Try fewer of them: each needs memory of its own"
            )
        if self.waiting:
            self.hire()

    def dismiss(self) -> None:
        while self.members:
            self.members.pop().link.kill()


def _taken_over(buffer: TrajectoryBuffer, writer: str) -> list[tuple[int | None, bool]]:
    """(seed, won) of the episodes of a dead worker, in order, when its journal has become a shard.

    That takes the journal's lock. Elsewhere on a cluster a worker may seem dead and be out of reach only: once its
    lock is ours, it can store nothing more, and what is handed out again is not counted twice.

    Raises:
        EngineError: somebody still holds the lock after LONGEST_LOCK.
    """
    until = time.monotonic() + LONGEST_LOCK
    while journal.fcntl is not None:  # no locks on Windows
        adopt_orphans(buffer.path)
        held = list(buffer.path.glob(f"_{writer}-*{journal.SUFFIX}"))
        if not held:
            break
        if time.monotonic() > until:
            raise EngineError(
                f"a worker is dead, and {held[0]} is still locked after {LONGEST_LOCK:.0f} s; see who has it"
            )
        time.sleep(0.02)
    return buffer.stored_by(writer)


# Workers that are processes of this machine.


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


# In the workers.


def work(pipe: Any, job: Job) -> None:
    """What each worker does: say where it writes, ask for indices, play, store, report.

    Args:
        pipe: its `send` takes messages, its `recv` gives the indices that were asked for.
    """
    warnings.showwarning = lambda message, *_, **__: pipe.send(("warning", str(message)))
    try:
        with TrajectoryBuffer(job.into) as buffer:
            from oreo.agents import load_agent

            agent = load_agent(job.agent, **job.agent_settings)
            pipe.send(("writes", buffer.writer_name))
            for index, trajectory in play(**job.playing, agent=agent, indices=_asked(pipe)):
                buffer.append(trajectory)
                pipe.send(("stored", index, trajectory.won))
        pipe.send(("end",))
    except (EOFError, BrokenPipeError):
        pass  # nobody is there any more
    except OreoError as error:
        pipe.send(("error", type(error)(str(error))))


def _asked(pipe: Any) -> Iterator[int]:
    while True:
        pipe.send(("more",))
        portion = pipe.recv()
        if not portion:
            return
        yield from portion
