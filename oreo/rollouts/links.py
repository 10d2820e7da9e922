"""What a worker is told, and the way to it: the protocol that processes and Ray actors share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import OreoError
from oreo.rollouts.loop import play


@dataclass(frozen=True)
class Job:
    """What each worker is told at first."""

    into: Path
    agent: str
    agent_settings: dict[str, Any]
    playing: dict[str, Any]
    """Arguments of `oreo.rollouts.loop.play`."""


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
