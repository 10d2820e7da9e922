"""Collecting with several workers: each plays episodes and writes them into shards of its own.

    collect("oreo/ALFWorld-v0", agent="expert", episodes=10_000, into="runs/kitchen", workers=4)

An episode is seeded by its index, so it does not matter which worker plays it. Indices are handed out as they are
asked for. A worker that dies costs what it had under way: others play that again. What it had stored and not yet
reported is found in its files, so nothing is played twice.

A worker is a process of this machine; with ray=True, an actor on a cluster: oreo/rollouts/ray_cluster.py has what
differs.
"""

from __future__ import annotations

import os
import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass, field
from typing import Any

from oreo.data import journal
from oreo.data.buffer import TrajectoryBuffer
from oreo.data.writers import adopt_orphans
from oreo.errors import EngineError, UsageError
from oreo.rollouts.links import Job, Link, Ready
from oreo.rollouts.loop import seeds
from oreo.rollouts.processes import _Process, _ready

MOST_DEATHS = 3
"""Workers that may die one after the other without an episode being stored in between."""
LONGEST_LOCK = 150.0
"""Seconds until the files of a dead worker have to be free. NFS keeps the locks of a lost machine for 90."""


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
        ray: workers on a Ray cluster (see oreo.rollouts.ray_cluster), instead of processes of this machine.
        sample: as for `oreo.rollouts.loop.play`.
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
        from oreo.rollouts.ray_cluster import cluster

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


# In the workers.
