"""Collecting: episodes are played into a buffer, by this process or by several workers.

    collect([(0, range(10_000))], Rollout("oreo/ALFWorld-v0"), agent="expert", into="runs/kitchen", workers=4)

An episode is seeded by its index, so it does not matter which worker plays it. Indices are handed out as they are
asked for. A worker that dies costs what it had under way: others play that again. What it had stored and not yet
reported is found in its files, so nothing is played twice.

A worker is a process of this machine; with ray=True, an actor on a cluster: oreo/rollouts/ray_cluster.py has what
differs.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo.agents.settings import AgentConfig
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import OreoError, UsageError
from oreo.rollouts.callbacks import Callbacks
from oreo.rollouts.crew import Crew, Events
from oreo.rollouts.links import Job, Place, Player
from oreo.rollouts.loop import play
from oreo.rollouts.settings import Rollout

if TYPE_CHECKING:
    from oreo.agents.agent import Agent
    from oreo.trajectory import Trajectory

Missing = Sequence[tuple[int, Sequence[int]]]
"""Episodes to play: (sample, indices), a pass over the games each, in the order of their samples."""


def collect(
    missing: Missing,
    rollout: Rollout,
    *,
    agent: str,
    agent_config: AgentConfig | None = None,
    into: str | os.PathLike[str],
    workers: int = 1,
    ray: bool = False,
    callbacks: Callbacks | None = None,
    narrow: Callable[[Player], Missing] | None = None,
) -> Player | None:
    """Play episodes into a buffer, which then holds each of them once, in any order.

    One pass after the other: of a game, what is stored are always its first samples. So where the environment's error
    ends an episode, later samples of its game are left out too.

    A script that asks for several workers needs `if __name__ == "__main__":`, as always where Python starts processes.

    Args:
        missing: what to play. The rollout's own `sample` does not count.
        agent: what `oreo.agents.load_agent` takes, with `agent_config`; each worker loads its own.
        into: the buffer's folder.
        workers: how many; each has `rollout.batch_size` episodes under way. 1: this process plays. (Where this process
            is killed, each worker still ends a step and stores an episode that ends with it: wait a moment before
            going on, or that one is played again.)
        ray: workers on a Ray cluster (see oreo.rollouts.ray_cluster), instead of processes of this machine.
        narrow: asked when an agent is loaded, with who plays; answers with what of `missing` is to be played.

    Returns:
        Who played; None where nothing was missing, for which no agent is loaded.

    Raises:
        EngineError: an environment broke, unless `callbacks.on_failure` takes that; workers that die again and again.
            What was stored stays.
        MissingExtra: ray=True, and Ray is not installed.
        OreoError: whatever the environment or the agent finds wrong.
    """
    if workers < 1:
        raise UsageError(f"workers={workers}: expected 1 or more")
    plan = _Plan(missing, callbacks or Callbacks(), narrow)
    config = agent_config or AgentConfig()
    with _terminated_like_interrupted():
        if workers == 1 and not ray:
            _play_here(plan, rollout, agent, config, Path(into))
            return plan.player
        buffer = TrajectoryBuffer(into)  # made before several processes make it at once
        for sample, _ in missing:
            if indices := plan.indices(sample):
                job = Job(replace(rollout, sample=sample), agent, config, buffer.path.absolute())
                _play_by_workers(plan, job, buffer, workers, len(indices), ray)
    return plan.player


@dataclass
class _Plan:
    """What is to be played, and what has come in between."""

    missing: Missing
    callbacks: Callbacks
    narrow: Callable[[Player], Missing] | None
    player: Player | None = None
    broken: set[int] = field(default_factory=set)
    """Indices of games whose environment broke."""

    def indices(self, sample: int) -> list[int]:
        return [index for index in dict(self.missing).get(sample, ()) if index not in self.broken]

    def started(self, player: Player) -> None:
        """Somebody has loaded the agent; the first time, what is missing is asked for anew."""
        if self.player is None and self.narrow is not None:
            self.missing = self.narrow(player)
        self.player = player

    def failed(self, index: int, error: OreoError) -> None:
        if self.callbacks.on_failure is None:
            raise error
        self.broken.add(index)
        self.callbacks.on_failure(error)


def _play_here(plan: _Plan, rollout: Rollout, spec: str, config: AgentConfig, into: Path) -> None:
    from oreo.agents import load_agent

    if not any(indices for _, indices in plan.missing):
        return
    agent = load_agent(spec, config)
    plan.started(Player(agent.name, agent.checkpoint))
    for sample, _ in plan.missing:
        play_into(
            into,
            replace(rollout, sample=sample),
            agent,
            plan.indices(sample),
            on_episode=lambda episode: plan.callbacks.on_episode(episode.won),
            on_steps=plan.callbacks.on_steps,
            on_failure=plan.failed,
        )


def _play_by_workers(plan: _Plan, job: Job, buffer: TrajectoryBuffer, workers: int, at_most: int, ray: bool) -> None:
    """One pass over the games."""

    def started(player: Player) -> list[int]:
        plan.started(player)
        return plan.indices(job.rollout.sample)

    events = Events(started, plan.callbacks.on_episode, plan.failed, plan.callbacks.on_steps)
    with _place(job, workers, ray) as place:
        Crew(job, buffer, workers, place, events).run(at_most)


def _place(job: Job, workers: int, ray: bool) -> AbstractContextManager[Place]:
    if ray:
        from oreo.rollouts.ray_cluster import cluster

        return cluster(job, workers)
    from oreo.rollouts.processes import processes

    return processes(job, workers)


def play_into(
    into: Path,
    rollout: Rollout,
    agent: Agent,
    indices: Sequence[int],
    *,
    on_episode: Callable[[Trajectory], object],
    on_steps: Callable[[int], object] | None = None,
    on_failure: Callable[[int, OreoError], object] | None = None,
) -> None:
    """Let an agent that is loaded play these episodes into a buffer; each is kept as it ends. See `play`."""
    episodes = play(rollout, agent, indices, on_steps=on_steps, on_failure=on_failure)
    with TrajectoryBuffer(into) as buffer, closing(episodes):
        for _, episode in episodes:
            buffer.append(episode)
            on_episode(episode)


@contextmanager
def _terminated_like_interrupted() -> Iterator[None]:
    """SIGTERM, or a closed terminal, is Ctrl-C in the block: workers are stopped, and what is stored is said."""
    ours = []
    if threading.current_thread() is threading.main_thread():
        signals = [signal.SIGTERM, *([signal.SIGHUP] if hasattr(signal, "SIGHUP") else [])]
        ours = [number for number in signals if signal.getsignal(number) == signal.SIG_DFL]
    for number in ours:
        signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, signal.SIG_DFL)


def _interrupt(*_: Any) -> None:
    raise KeyboardInterrupt
