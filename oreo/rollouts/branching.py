"""Branches: of an episode that was played, others that begin alike and then do something else.

Samples of a game part where chance has it, most of them at their first turn, and what came of them says little about
any one turn. Branches of an episode are its first turns up to one that is drawn, a turn that differs from those that
were said in that state before, and whatever follows. So they compare turns of one state: a value learns from them what
a turn is worth, preferences have pairs that part in one turn (step-dpo).

There is no copy of the world for it: the first turns are handed to a world with the same seed again, and have to be
answered as they were. So it works for any environment that keeps its promise to be deterministic (`oreo envs check`).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from oreo.agents.agent import Agent, Decision, decision_of
from oreo.errors import EngineError
from oreo.rollouts.settings import seeds
from oreo.trajectory import Step, Trajectory

if TYPE_CHECKING:
    from oreo.rollouts.settings import Rollout

EXTRA = "branch"
"""The key of `Trajectory.extra` that branches have: {"of": digest of the episode they branch off, "step": where}."""
TRIES = 8
"""How often an agent is asked for a turn that differs, before it may say again what was said."""


@dataclass(frozen=True)
class Branching:
    """Which of the samples of a game are branches, and of what.

    Samples 0 … per_game − 1 are played from the start. Each has turns − 1 branches, the samples from there on.
    """

    trunks: str
    """The buffer in which those are that were played from the start."""
    per_game: int
    turns: int
    """Different turns in the state that is drawn, the first one's own among them."""

    @property
    def samples(self) -> int:
        """Episodes of each game, branches included."""
        return self.per_game * self.turns


@dataclass(frozen=True)
class Beginning:
    """What an episode begins with that branches off."""

    steps: tuple[Step, ...]
    """To be handed to the world again."""
    answers: tuple[str, ...]
    """What it said then: the first observation, and one after each step."""
    said: frozenset[str] = frozenset()
    """Turns that were said next."""
    extra: Mapping[str, object] = field(default_factory=dict)
    """Of the trajectory."""

    @classmethod
    def of(cls, played: Trajectory, steps: int, said: Iterable[str] = (), **extra: object) -> Beginning:
        """The first steps of an episode that was played."""
        observations = [*(step.observation for step in played.steps), played.final_observation]
        return cls(played.steps[:steps], tuple(observations[: steps + 1]), frozenset(said), extra)

    def given(self, steps: int) -> Decision | None:
        """The decision after so many steps; None: it is the agent's own."""
        if steps >= len(self.steps):
            return None
        # Imitation has learnt it from the episode that this one branches off.
        return decision_of(self.steps[steps], imitate=False)

    def repeats(self, steps: int, decision: Decision) -> bool:
        """Whether this is the turn that has to differ and does not."""
        return steps == len(self.steps) and text_of(decision) in self.said

    def check(self, steps: int, observation: str) -> None:
        """Raises EngineError where the world did not say again what it had said after so many steps."""
        if steps <= len(self.steps) and observation != self.answers[steps]:
            raise EngineError(
                f"the same seed and the same {steps} actions were answered otherwise than before, so there is no "
                "going on from there; `oreo envs check` says more"
            )


NOTHING = Beginning((), ())
"""Of an episode that is played from the start."""


class Branches:
    """The beginnings of a rollout's episodes."""

    def __init__(self, rollout: Rollout, agent: Agent) -> None:
        """Look up who has played what in the buffer of the trunks."""
        branching = rollout.branching
        self.rollout = rollout
        self.branching = branching if branching is not None and rollout.sample >= branching.per_game else None
        """None: this sample is played from the start."""
        self.trunks: dict[int, list[tuple[str, Trajectory]]] = {}
        self.branches: dict[str, list[Trajectory]] = {}
        if self.branching is None:
            return
        from oreo.data.buffer import TrajectoryBuffer

        for trajectory in TrajectoryBuffer(self.branching.trunks, create=False):
            if (trajectory.env_id, trajectory.agent, trajectory.checkpoint) != (
                rollout.env_id,
                agent.name,
                agent.checkpoint,
            ) or trajectory.env_kwargs != rollout.stored_kwargs:
                continue
            of = trajectory.extra.get(EXTRA)
            if isinstance(of, dict):
                self.branches.setdefault(str(of.get("of")), []).append(trajectory)
            elif trajectory.seed is not None:
                self.trunks.setdefault(trajectory.seed, []).append((digest(trajectory), trajectory))
        for samples in self.trunks.values():
            samples.sort(key=lambda entry: entry[0])  # in the order of their content, whatever that of the files

    def beginning(self, index: int) -> Beginning:
        """What episode `index` of the rollout begins with.

        The state is the same for all branches of a trunk: it is drawn by the seed and the trunk's content.

        Raises:
            EngineError: its trunk is not in the buffer.
        """
        if self.branching is None:
            return NOTHING
        env_seed, _ = seeds(self.rollout.seed, index)
        number = (self.rollout.sample - self.branching.per_game) // (self.branching.turns - 1)
        samples = self.trunks.get(env_seed, [])
        if number >= len(samples):
            raise EngineError(f"there is no episode {number + 1} of this game in {self.branching.trunks} to branch off")
        name, trunk = samples[number]
        step = drawn_step(trunk, np.random.default_rng([env_seed, int(name, 16)]))
        played = [trunk, *self.branches.get(name, ())]
        said = (text_of(episode.steps[step]) for episode in played if len(episode.steps) > step)
        return Beginning.of(trunk, step, said, **{EXTRA: {"of": name, "step": step}})


def drawn_step(trunk: Trajectory, rng: np.random.Generator) -> int:
    """A step of it, the likelier the less sure its agent was of what it said: 1 − π(turn|s), where that is stored.

    In most states of a good agent one turn is all but certain, and asking again brings the same.
    """
    chances = np.array([1.0 if step.log_prob is None else -math.expm1(min(step.log_prob, 0.0)) for step in trunk.steps])
    if chances.sum() <= 0:  # it was sure of all
        chances[:] = 1.0
    return int(rng.choice(len(chances), p=chances / chances.sum()))


def digest(trajectory: Trajectory) -> str:
    """16 hex digits of what was said in an episode, by which its branches name it."""
    said = "\x00".join(f"{step.observation}\x01{text_of(step)}" for step in trajectory.steps)
    return hashlib.sha256(f"{trajectory.seed}\x00{said}\x00{trajectory.final_observation}".encode()).hexdigest()[:16]


def text_of(said: Step | Decision) -> str:
    """The whole turn."""
    return said.action if said.turn is None else said.turn


def with_extra(trajectory: Trajectory, beginning: Beginning) -> Trajectory:
    """The trajectory of an episode, which says what it branches off."""
    return replace(trajectory, extra={**trajectory.extra, **beginning.extra}) if beginning.extra else trajectory
