"""Collecting with several processes: each plays episodes and writes them into shards of its own.

    collect("oreo/ALFWorld-v0", agent="expert", episodes=10_000, into="runs/kitchen", workers=4)

An episode is seeded by its index, so it does not matter which process plays it. Indices are handed out as they are
asked for. A process that dies costs what it had under way: others play that again. What it had stored and not yet
reported is found in its files, so nothing is played twice.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from oreo.buffer import TrajectoryBuffer
from oreo.errors import EngineError, OreoError, UsageError
from oreo.rollouts import play, seeds

MOST_DEATHS = 3
"""Processes that may die one after the other without an episode being stored in between."""


@dataclass(frozen=True)
class Job:
    """What each worker is told at first."""

    into: Path
    agent: str
    agent_settings: dict[str, Any]
    playing: dict[str, Any]
    """Arguments of `oreo.rollouts.play`."""


@dataclass
class _Worker:
    process: Any
    pipe: Connection
    writer: str = ""
    """The name its files begin with."""
    given: list[int] = field(default_factory=list)
    """Indices of episodes it has not reported yet."""
    stored: int = 0


def collect(
    env: str,
    *,
    agent: str,
    episodes: int,
    into: str | os.PathLike[str],
    workers: int,
    agent_settings: dict[str, Any] | None = None,
    seed: int = 0,
    batch_size: int = 32,
    max_steps: int | None = None,
    env_kwargs: dict[str, Any] | None = None,
    games: Sequence[str] | None = None,
    on_episode: Callable[[bool], object] | None = None,
) -> None:
    """Play episodes 0 … episodes - 1 in several processes; the buffer then holds each of them once, in any order.

    A script that calls this needs `if __name__ == "__main__":`, as always where Python starts processes.

    Args:
        agent: what `oreo.agents.load_agent` takes, with `agent_settings`; each process loads its own.
        into: the buffer's folder.
        workers: how many processes; each has `batch_size` episodes under way.
        on_episode: called when an episode is stored, with whether it was won.
        env, seed, batch_size, max_steps, env_kwargs, games: as for `oreo.rollout`.
    Raises:
        EngineError: processes that die again and again. What was stored stays.
        OreoError: whatever the environment or the agent finds wrong.
    """
    if workers < 1 or episodes < 0:
        raise UsageError(f"workers={workers}, episodes={episodes}: expected 1 or more processes and 0 or more episodes")
    playing = {
        "env": env,
        "seed": seed,
        "batch_size": batch_size,
        "max_steps": max_steps,
        "env_kwargs": env_kwargs,
        "games": games,
    }
    buffer = TrajectoryBuffer(into)  # made before several processes make it at once
    job = Job(buffer.path.absolute(), agent, agent_settings or {}, playing)
    crew = _Crew(job, buffer, episodes, workers, on_episode or (lambda won: None))
    try:
        crew.work()
    finally:
        crew.dismiss()


class _Crew:
    """The processes, what is left to hand out to them, and what is to be done about their messages."""

    def __init__(
        self, job: Job, buffer: TrajectoryBuffer, episodes: int, workers: int, on_episode: Callable[[bool], object]
    ) -> None:
        self.job, self.buffer, self.workers, self.on_episode = job, buffer, workers, on_episode
        self.waiting = list(range(episodes - 1, -1, -1))
        """Indices to hand out, the next one last."""
        self.members: list[_Worker] = []
        self.deaths = 0
        """Since an episode was stored last."""

    def work(self) -> None:
        for _ in range(min(self.workers, len(self.waiting))):
            self.hire()
        while self.members:
            pipes: list[Any] = [worker.pipe for worker in self.members]
            ready = wait(pipes)
            for worker in [worker for worker in self.members if worker.pipe in ready]:
                self.hear(worker)

    def hire(self) -> None:
        context = multiprocessing.get_context("spawn")  # a fork would copy locks and GPU contexts
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self.job), daemon=True)
        with _few_threads(self.workers):
            process.start()
        theirs.close()  # else the pipe would not end with the process
        self.members.append(_Worker(process, ours))

    def hear(self, worker: _Worker) -> None:
        try:
            message, *details = worker.pipe.recv()
            if message == "more":
                return worker.pipe.send(self.portion(worker))
        except (EOFError, OSError):
            return self.bury(worker)
        if message == "writes":
            (worker.writer,) = details
        elif message == "stored":
            index, won = details
            worker.stored += 1
            self.stored(worker, index, won)
        elif message == "warning":
            warnings.warn(details[0], stacklevel=2)  # of equal ones Python shows the first
        elif message == "error":
            raise details[0]
        else:
            self.members.remove(worker)
            worker.process.join()

    def portion(self, worker: _Worker) -> list[int]:
        """The next indices for a worker: few when few are left, so that all end at about the same time."""
        most = max(1, min(self.job.playing["batch_size"], len(self.waiting) // (2 * self.workers)))
        given = [self.waiting.pop() for _ in range(min(most, len(self.waiting)))]
        worker.given += given
        return given

    def stored(self, worker: _Worker, index: int, won: bool) -> None:
        worker.given.remove(index)
        self.deaths = 0
        self.on_episode(won)

    def bury(self, worker: _Worker) -> None:
        """What a dead process had under way goes to others, but for what its files hold."""
        self.members.remove(worker)
        worker.process.join()
        self.deaths += 1
        seed = self.job.playing["seed"]
        for env_seed, won in self.buffer.stored_by(worker.writer)[worker.stored :] if worker.writer else ():
            index = next(index for index in worker.given if seeds(seed, index)[0] == env_seed)
            self.stored(worker, index, won)
        self.waiting += reversed(worker.given)
        if self.deaths > MOST_DEATHS:
            raise EngineError(
                f"{self.deaths} processes died one after the other, the last with exit code {worker.process.exitcode}; "
                "what was stored stays. Try fewer of them: each needs memory of its own"
            )
        if self.waiting:
            self.hire()

    def dismiss(self) -> None:
        for worker in self.members:
            worker.process.kill()
            worker.process.join()


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


# In the processes.


def _work(pipe: Connection, job: Job) -> None:
    """What each process does: say where it writes, ask for indices, play, store, report."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the first one decides
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


def _asked(pipe: Connection) -> Iterator[int]:
    while True:
        pipe.send(("more",))
        portion = pipe.recv()
        if not portion:
            return
        yield from portion
