"""What is played, in one record, and what each of its episodes is seeded with."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np

from oreo.errors import UsageError

if TYPE_CHECKING:
    import gymnasium as gym

    from oreo.rollouts.branching import Branching


@dataclass(frozen=True)
class Rollout:
    """Episodes of one environment. Which of them are played, by whom and where is said beside it.

    Raises:
        UsageError: a value out of range or of another type than its field's.
    """

    env: str | Callable[..., gym.Env[str, str]]
    """Anything `oreo.envs.make` takes, or a callable that makes an environment."""
    env_kwargs: Mapping[str, Any] = field(default_factory=dict)
    """For making the environment; plain JSON, since it is stored with each trajectory."""
    seed: int = 0
    """Of everything; episode i depends on (seed, i) only."""
    games: Sequence[str] | None = None
    """Episode i plays game i mod len(games). None: the environment's own list where it has one, else it chooses."""
    batch_size: int = 32
    """Episodes under way at once; changes the speed, not the episodes."""
    max_steps: int | None = None
    """Steps after which an episode is truncated; None: as the environment says."""
    sample: int = 0
    """1, 2, …: the same games as 0, with other draws of the agent."""
    branching: Branching | None = None
    """Which samples begin as others did; None: all are played from the start."""
    step_timeout: float | None = None
    """Seconds that the environment may take for a step or a reset, after which its episode has failed; None: any."""

    def __post_init__(self) -> None:
        if not isinstance(self.env, str) and not callable(self.env):
            raise UsageError(f"env={self.env!r}: expected a name such as 'alfworld', or a callable that makes one")
        for name, least in {"seed": 0, "batch_size": 1, "max_steps": 1, "sample": 0}.items():
            number = getattr(self, name)
            if name == "max_steps" and number is None:
                continue
            if isinstance(number, bool) or not isinstance(number, Integral) or int(number) < least:
                raise UsageError(f"{name} is a whole number of at least {least}, got {number!r}")
        timeout = self.step_timeout
        if timeout is not None and (isinstance(timeout, bool) or not isinstance(timeout, Real) or not timeout > 0):
            raise UsageError(f"step_timeout is a number of seconds above 0, got {timeout!r}")
        if self.games is not None and not len(self.games):
            raise UsageError("the list of games is empty")
        if isinstance(self.games, str):
            raise UsageError(f"games={self.games!r}: expected a list of names")
        if not isinstance(self.env_kwargs, Mapping):
            raise UsageError(f"env_kwargs is a dict of arguments, got {self.env_kwargs!r}")
        try:
            json.dumps(dict(self.env_kwargs))
        except (TypeError, ValueError) as error:
            raise UsageError(f"env_kwargs are stored with each trajectory and have to be plain JSON: {error}") from None

    @property
    def env_id(self) -> str:
        """What trajectories say they were played in."""
        if isinstance(self.env, str):
            return self.env
        return f"{self.env.__module__}:{getattr(self.env, '__qualname__', type(self.env).__qualname__)}"

    @property
    def stored_kwargs(self) -> dict[str, Any]:
        """What trajectories say the environment was made with."""
        return {**self.env_kwargs, **({} if self.max_steps is None else {"max_steps": self.max_steps})}

    def make(self) -> gym.Env[str, str]:
        """An environment of its own for one episode at a time."""
        if isinstance(self.env, str):
            from oreo.envs import make

            return make(self.env, max_steps=self.max_steps, **self.env_kwargs)
        from gymnasium.wrappers import TimeLimit

        from oreo.envs.text_env import step_limit

        env = self.env(**self.env_kwargs)
        limit = self.max_steps or (_own_limit(env) if step_limit(env) is None else None)
        return env if limit is None else TimeLimit(env, limit)


def _own_limit(env: gym.Env[str, str]) -> int | None:
    limit = getattr(env.unwrapped, "max_steps", None)
    return limit if isinstance(limit, int) else None


def seeds(seed: int, index: int, sample: int = 0) -> tuple[int, np.random.Generator]:
    """What episode `index` is seeded with: a number for its environment, a generator for its agent.

    Args:
        sample: which of several episodes of the same game; they differ in the agent's draws.
    """
    for_env, for_agent = np.random.SeedSequence([seed, index]).spawn(2)
    if sample:
        for_agent = np.random.SeedSequence([seed, index, sample])
    return int(for_env.generate_state(1)[0]), np.random.default_rng(for_agent)
