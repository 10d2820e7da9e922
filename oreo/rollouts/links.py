"""What a worker is told, and the way to it: the protocol that processes and Ray actors share.

A worker says, in this order: ("started", its writer's name, who plays); then ("more",) whenever it has room, which is
answered with indices, none when there are no more; ("stored", index, won), ("failed", index, error), ("steps", N) and
("warning", text) as they come; ("end",) or ("error", error) at last.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from oreo.agents.settings import AgentConfig
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import OreoError
from oreo.rollouts.loop import play
from oreo.rollouts.settings import Rollout

SECONDS_BETWEEN_COUNTS = 1.0
"""A worker counts its steps, and reports the count no more often than this."""


@dataclass(frozen=True)
class Player:
    """Who plays, as trajectories name it."""

    agent: str
    checkpoint: str


@dataclass(frozen=True)
class Job:
    """What each worker is told at first."""

    rollout: Rollout
    agent: str
    agent_config: AgentConfig
    into: Path


class Link(Protocol):
    """The way to one worker, which runs `work` with the other end."""

    def recv(self) -> list[Any]:
        """What it has said: one message or more. EOFError, OSError: it is dead."""

    def send(self, portion: list[int]) -> None:
        """Indices to play; none: there is no more to do."""

    def join(self) -> None:
        """See it off when it has ended or is dead."""

    def kill(self) -> None:
        """End it now."""

    def exit_reason(self) -> str:
        """What it died of."""


@dataclass(frozen=True)
class Place:
    """Where workers are: how one is started, and how some are waited for."""

    start: Callable[[], Link]
    wait: Callable[[Sequence[Any]], list[Any]]
    """Waits until some of these links have something to say, and tells which."""


def work(pipe: Any, job: Job) -> None:
    """What each worker does: say where it writes, ask for indices, play, store, report.

    Args:
        pipe: its `send` takes messages, its `recv` gives the indices that were asked for.
    """
    warnings.showwarning = lambda message, *_, **__: pipe.send(("warning", str(message)))
    try:
        with TrajectoryBuffer(job.into) as buffer:
            from oreo.agents import load_agent

            agent = load_agent(job.agent, job.agent_config)
            pipe.send(("started", buffer.writer_name, Player(agent.name, agent.checkpoint)))
            episodes = play(
                job.rollout,
                agent,
                _asked(pipe),
                on_steps=_Steps(pipe).add,
                on_failure=lambda index, error: pipe.send(("failed", index, _plain(error))),
            )
            for index, trajectory in episodes:
                buffer.append(trajectory)
                pipe.send(("stored", index, trajectory.won))
        pipe.send(("end",))
    except (EOFError, BrokenPipeError):
        pass  # nobody is at the other end any more
    except OreoError as error:
        pipe.send(("error", _plain(error)))


def _asked(pipe: Any) -> Iterator[int]:
    while True:
        pipe.send(("more",))
        portion = pipe.recv()
        if not portion:
            return
        yield from portion


def _plain(error: OreoError) -> OreoError:
    """Without what it was caused by, which may be of a class that the receiver cannot load."""
    return type(error)(str(error))


class _Steps:
    """Counts steps, and says now and then how many there were."""

    def __init__(self, pipe: Any) -> None:
        self.pipe, self.count, self.told = pipe, 0, time.monotonic()

    def add(self, count: int) -> None:
        self.count += count
        if time.monotonic() - self.told > SECONDS_BETWEEN_COUNTS:
            self.pipe.send(("steps", self.count))
            self.count, self.told = 0, time.monotonic()
