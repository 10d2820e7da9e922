"""The workers of one pass over the games: who has which episodes, and what becomes of those of a dead one."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from oreo.data import journal
from oreo.data.buffer import TrajectoryBuffer
from oreo.data.writers import adopt_orphans
from oreo.errors import EngineError, OreoError
from oreo.rollouts.links import Job, Link, Place, Player
from oreo.rollouts.settings import seeds

MOST_DEATHS = 3
"""Workers that may die one after the other without an episode being stored in between."""
LONGEST_LOCK = 150.0
"""Seconds until the files of a dead worker have to be free. NFS keeps the locks of a lost machine for 90."""


@dataclass
class Worker:
    """One of them, as the crew knows it."""

    link: Link
    writer: str = ""
    """The name its files begin with; "" until it has started."""
    assigned: list[int] = field(default_factory=list)
    """Indices of episodes it has not reported yet."""
    stored: list[int] = field(default_factory=list)
    """Indices of those it has, in that order."""


@dataclass(frozen=True)
class Events:
    """What the crew tells whoever let it play."""

    started: Callable[[Player], Sequence[int]]
    """Somebody is ready to play; answered by the indices to be played."""
    stored: Callable[[bool], object]
    failed: Callable[[int, OreoError], object]
    steps: Callable[[int], object]


class Crew:
    """Workers, and what is waiting to be handed out to them."""

    def __init__(self, job: Job, buffer: TrajectoryBuffer, workers: int, place: Place, events: Events) -> None:
        self.job, self.buffer, self.workers, self.place, self.events = job, buffer, workers, place, events
        self.waiting: list[int] | None = None
        """Indices to hand out, the next one last; None: nobody has started yet."""
        self.members: list[Worker] = []
        self.deaths = 0
        """Since an episode was stored last."""
        self.told: set[int] = set()
        """Indices of episodes that were reported as stored."""

    def run(self, at_most: int) -> None:
        """Play until all is played.

        Args:
            at_most: as many episodes are to be played; no more workers are started than that.
        """
        try:
            for _ in range(min(self.workers, at_most)):
                self.start()
            while self.unfinished():
                ready = self.place.wait([worker.link for worker in self.members])
                for worker in [worker for worker in self.members if worker.link in ready]:
                    self.receive(worker)
        finally:
            self.stop()
        adopt_orphans(self.buffer.path)

    def unfinished(self) -> bool:
        """Who has not begun to write when all is handed out is not waited for: on a full cluster that could be long."""
        return bool(self.waiting) or self.waiting is None or any(worker.writer for worker in self.members)

    def start(self) -> None:
        self.members.append(Worker(self.place.start()))

    def stop(self) -> None:
        while self.members:
            self.members.pop().link.kill()

    def receive(self, worker: Worker) -> None:
        """What a worker has said; nothing, if it is dead."""
        try:
            messages = worker.link.recv()
        except (EOFError, OSError):
            return self.on_death(worker)
        for message, *details in messages:
            self.handle(worker, message, *details)

    def handle(self, worker: Worker, message: str, *details: Any) -> None:
        if message == "started":
            worker.writer, player = details
            if self.waiting is None:
                self.waiting = list(reversed(self.events.started(player)))
        elif message == "more":
            with suppress(OSError):  # it has died since; what it was given is handed out again when that is noticed
                worker.link.send(self.portion(worker))
        elif message == "stored":
            self.stored(worker, *details)
        elif message == "failed":
            index, error = details
            worker.assigned.remove(index)
            self.events.failed(index, error)
        elif message == "steps":
            self.events.steps(*details)
        elif message == "warning":
            warnings.warn(details[0], stacklevel=2)  # of equal ones Python shows the first
        elif message == "error":
            raise details[0]
        else:
            self.members.remove(worker)
            worker.link.join()

    def portion(self, worker: Worker) -> list[int]:
        """The next indices for a worker: few when few are left, so that all end at about the same time."""
        waiting = self.waiting or []
        most = max(1, min(self.job.rollout.batch_size, len(waiting) // (2 * self.workers)))
        portion = [waiting.pop() for _ in range(min(most, len(waiting)))]
        worker.assigned += portion
        return portion

    def stored(self, worker: Worker, index: int, won: bool) -> None:
        worker.assigned.remove(index)
        worker.stored.append(index)
        self.deaths = 0
        if index not in self.told:
            self.told.add(index)
            self.events.stored(won)

    def on_death(self, worker: Worker) -> None:
        """What a dead worker had under way goes to others, but for what its files hold."""
        self.members.remove(worker)
        worker.link.join()
        self.deaths += 1
        readable = dict(take_over(self.buffer, worker.writer)) if worker.writer else {}
        env_seeds = {index: seeds(self.job.rollout.seed, index)[0] for index in worker.stored + worker.assigned}
        # What it had reported may be gone: its machine lost what was not written through yet, or a record is damaged.
        lost = [index for index in worker.stored if env_seeds[index] not in readable]
        for index in [index for index in worker.assigned if env_seeds[index] in readable]:
            self.stored(worker, index, readable[env_seeds[index]])
        if self.waiting is not None:
            self.waiting += reversed(lost + worker.assigned)
        if self.deaths > MOST_DEATHS:
            some = ", ".join(map(str, sorted(worker.assigned)[:5]))
            playing = f", playing episodes {some}" if some else ""
            raise EngineError(
                f"{self.deaths} workers died one after the other in {self.job.rollout.env_id}, the last with "
                f"{worker.link.exit_reason()}{playing}; what was stored stays. If it wants memory, try fewer workers; "
                "if the environment ends its process, in a library's own code, --workers 1 --batch-size 1 shows where"
            )
        if self.waiting is None or self.waiting:
            self.start()


def take_over(buffer: TrajectoryBuffer, writer: str) -> list[tuple[int | None, bool]]:
    """(seed, won) of the episodes of a dead worker that can be read, in order, when its journal has become a shard.

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
