"""An episode under way: how it begins, takes a step, and becomes a trajectory."""

from __future__ import annotations

import importlib.metadata
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from functools import cache
from itertools import count
from typing import TYPE_CHECKING

from oreo.agents.agent import Episode
from oreo.errors import EngineError, MissingExtra, OreoError, UsageError
from oreo.plugins import exits_raised
from oreo.rollouts.branching import NOTHING, Beginning, with_extra
from oreo.rollouts.failures import check_reset, check_step, describe_failure
from oreo.rollouts.settings import Rollout, seeds
from oreo.trajectory import Step, Trajectory

if TYPE_CHECKING:
    import gymnasium as gym

    from oreo.agents.agent import Agent, Decision

PACKAGES = (
    "oreo-agents",
    "alfworld",
    "textworld",
    "gymnasium",
    "math-verify",
    "reasoning-gym",
    "torch",
    "transformers",
)
"""Packages whose version may change what happens in an episode."""
_MANY_STEPS = 1_000
"""Of an episode without a step limit, until that is said."""
_keys = count()


@dataclass
class Playing:
    """An episode under way and what becomes of it."""

    index: int
    seed: int
    rollout: Rollout
    episode: Episode
    """What the agent is shown."""
    game: str
    terminated: bool = False
    truncated: bool = False
    returned: float = 0.0
    """Sum of its rewards."""
    failure: OreoError | None = None
    """The environment's error that has ended it."""
    beginning: Beginning = NOTHING
    """What it begins with, where it branches off another."""

    @classmethod
    def of(cls, rollout: Rollout, index: int, env: gym.Env[str, str], game: str) -> Playing:
        """Episode `index`, to be begun by `reset`."""
        env_seed, rng = seeds(rollout.seed, index, rollout.sample)
        return cls(index, env_seed, rollout, Episode(key=next(_keys), rng=rng, env=env, observation="", info={}), game)

    @property
    def over(self) -> bool:
        return self.terminated or self.truncated or self.failure is not None

    def step(self, decision: Decision) -> None:
        """Take one step. An error of the environment ends the episode and is kept in `failure`."""
        from oreo.envs.inner_resets import watch_resets
        from oreo.envs.text_env import continues_message, step_limit

        episode = self.episode
        if len(episode.steps) == _MANY_STEPS and step_limit(episode.env) is None:
            warnings.warn(
                f"episode {self.index} of {self.rollout.env_id} has taken {_MANY_STEPS:,} steps and nothing limits "
                "them; Ctrl-C ends it, and max_steps (--max-steps N) would",
                stacklevel=2,
            )
        before, commands = episode.observation, episode.info.get("admissible_commands")
        turn = decision.action if decision.turn is None else decision.turn
        continues = continues_message(turn, episode.info.get("stop", ()))
        with self._failing(f"step {len(episode.steps) + 1}", "act", "step"):
            with watch_resets(episode.env, _refuse_reset):
                returned = check_step(episode.env.step(decision.action))
        if self.failure is not None:
            return
        observation, reward, self.terminated, self.truncated, info = returned
        episode.steps.append(
            Step(
                observation=before,
                action=decision.action,
                reward=reward,
                turn=decision.turn,
                action_valid=info.get("action_valid"),
                admissible_commands=None if commands is None else tuple(commands),
                log_prob=decision.log_prob,
                value=decision.value,
                candidates=decision.candidates,
                imitate=decision.imitate,
                context_start=decision.context_start,
                cut=decision.cut,
                token_ids=decision.token_ids,
                actor=decision.actor,
                continues_message=continues,
            )
        )
        episode.observation, episode.info = observation, info
        self.returned += reward
        self._check_beginning()

    def reset(self) -> None:
        """Begin the episode, as `step` takes one.

        Raises:
            UsageError: the environment knows no such game or argument, which would be so of every episode.
            MissingExtra: it needs packages that are not installed.
        """
        from oreo.envs.checking.surroundings import random_state

        options = {"game": self.game} if self.game else None
        before = random_state()
        with self._failing("before its first step", "start", "reset"):
            self.episode.observation, self.episode.info = check_reset(
                self.episode.env.reset(seed=self.seed, options=options)
            )
        after = random_state()
        for library in [name for name, state in before.items() if after[name] != state]:
            warnings.warn(  # without a number in it, so that Python shows it once
                f"{self.rollout.env_id} draws from, or seeds, the global generator of {library} in reset: its episodes "
                "cannot be played again by their seed; `oreo envs check` says more",
                stacklevel=2,
            )
        if isinstance(self.failure, UsageError | MissingExtra):
            raise self.failure
        self.game = str(self.episode.info.get("game", self.game))
        self._check_beginning()

    def branch_off(self, beginning: Callable[[], Beginning]) -> None:
        """Take what the episode begins with from there. Where that is not to be had, it has failed."""
        with self._failing("before its first step", "start"):
            self.beginning = beginning()

    def _check_beginning(self) -> None:
        steps = len(self.episode.steps)
        if self.failure is None and self.beginning is not NOTHING:
            with self._failing(f"step {steps}", "act", "step"):
                self.beginning.check(steps, self.episode.observation)

    @contextmanager
    def _failing(self, when: str, *methods: str) -> Iterator[None]:
        """Keep an error of the block, in which these methods of the environment's author are called."""
        from oreo.envs.deadline import deadline

        try:
            with deadline(self.rollout.step_timeout, methods[-1]), exits_raised():
                yield
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # whatever it is, it costs this episode and no other
            game = f" ({self.game})" if self.game else ""
            where = f"in episode {self.index}{game}, {when}"
            self.failure = describe_failure(error, where, self.rollout.env_id, self.episode.env, methods)

    def _tokenizer(self, agent: Agent) -> str:
        sampled = any(step.token_ids is not None for step in self.episode.steps)
        digest = getattr(agent, "tokenizer_digest", "") if sampled else ""
        return digest if isinstance(digest, str) else ""

    def trajectory(self, agent: Agent) -> Trajectory:
        """What is stored of it."""
        info = self.episode.info
        trajectory = Trajectory(
            env_id=self.rollout.env_id,
            env_kwargs=self.rollout.stored_kwargs,
            steps=tuple(self.episode.steps),
            final_observation=self.episode.observation,
            terminated=self.terminated,
            truncated=self.truncated,
            won=info["won"] if info.get("won") is not None else self.terminated and self.returned > 0,
            task=str(info.get("task", "")),
            task_type=str(info.get("task_type", "")),
            game=self.game,
            dialect=str(info.get("dialect", "")),
            grade=str(info.get("grade") or ""),
            seed=self.seed,
            agent=agent.name,
            checkpoint=agent.checkpoint,
            tokenizer=self._tokenizer(agent),
            versions=dict(_versions()),
            created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        )
        return with_extra(trajectory, self.beginning)


def _refuse_reset(name: str) -> None:
    raise EngineError(
        f"step calls the environment's own {name}, and what follows would be stored as the same episode: "
        "end it with done=True (terminated), and whoever plays begins the next"
    )


@cache
def _versions() -> tuple[tuple[str, str], ...]:
    from oreo import __version__

    versions = {"oreo-agents": __version__}
    for package in PACKAGES[1:]:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return tuple(versions.items())
