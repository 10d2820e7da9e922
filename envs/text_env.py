"""The contract of a text environment: a gymnasium.Env whose observations and actions are str.

Subclass `TextEnv` and write two methods: `start` and `act`. Optional: `info`, `won`, `expert_action`.
Not here: time limits (gymnasium's TimeLimit, set by `oreo.envs.make` from `max_steps`) and registration (registry.py).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import gymnasium as gym
import numpy as np

from oreo.envs.text_space import TextSpace
from oreo.errors import UsageError


class TextEnv(gym.Env[str, str]):
    """Base class of text environments.

        class Guess(oreo.envs.TextEnv):
            max_steps = 10

            def start(self, rng):
                self.number = int(rng.integers(100))
                return "I think of a number from 0 to 99."

            def act(self, text):
                ...
                return "higher", 0.0, False          # observation, reward, done

    `info` always holds `won`; an environment that knows more says so in `info()` under these names:
    task, task_type, game, dialect, admissible_commands (list of str), action_valid (bool), stop (see
    `continues_message`).
    """

    metadata: dict[str, Any] = {"render_modes": ["ansi"], "render_fps": 4}
    max_steps: int | None = 50
    """Steps after which `oreo.envs.make` truncates an episode, None for no limit."""

    def __init__(self, render_mode: str | None = None) -> None:
        self.render_mode = render_mode

    # Class-level, so that a subclass without `super().__init__()` still is a complete environment.
    observation_space: gym.Space[str] = TextSpace()
    action_space: gym.Space[str] = TextSpace()
    render_mode: str | None = None
    won: bool | None = None
    """Whether the episode in progress is won; None (the default): it is when it ended with a positive reward."""
    _text = ""

    def start(self, rng: np.random.Generator, **options: Any) -> str:
        """Begin an episode and return its first observation. All randomness comes from `rng`.

        `options` are what the caller gave `reset(options=…)`; name the ones you understand as keyword arguments.
        """
        raise NotImplementedError(f"{type(self).__name__} needs a method start(self, rng) that returns a str")

    def act(self, text: str) -> tuple[str, float, bool]:
        """Take one action; return (observation, reward, done). `done` means the episode ended in the world itself."""
        raise NotImplementedError(f"{type(self).__name__} needs act(self, text) -> (observation, reward, done)")

    def info(self) -> dict[str, Any]:
        """What to add to gymnasium's info after every reset and step."""
        return {}

    def expert_action(self) -> str:
        """The next action of an expert that may look behind the curtain. Environments without one leave this out."""
        raise UsageError(
            f"{type(self).__name__} has no expert: give it expert_action(self) -> str, or choose another agent"
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self._text = self.start(self.np_random, **(options or {}))
        return self._text, self.info() | {"won": bool(self.won)}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        if not isinstance(action, str):
            raise UsageError(f"an action of {type(self).__name__} is a str, got {type(action).__name__}: {action!r}")
        self._text, reward, done = self.act(action)
        won = self.won if self.won is not None else done and reward > 0
        return self._text, float(reward), bool(done), False, self.info() | {"won": bool(won)}

    def render(self) -> str | None:
        """The last observation, in `render_mode="ansi"`."""
        return self._text if self.render_mode == "ansi" else None


def continues_message(turn: str, stop: Iterable[str]) -> bool:
    """Whether the agent's message goes on after this turn, so that the next one stands right behind it.

    Args:
        stop: the environment's `info["stop"]`. Where an agent writes one message step by step, it holds the texts at
            the first of which a turn ends while the message does not. Blanks at their end belong to what follows.
    """
    return any(turn.rstrip(" ").endswith(mark.rstrip(" ")) for mark in stop)


def step_limit(env: gym.Env[str, str]) -> int | None:
    """After how many steps `env` is truncated; None: nothing limits them."""
    # Gymnasium's TimeLimit keeps it under this name and offers no other.
    return env.get_wrapper_attr("_max_episode_steps") if env.has_wrapper_attr("_max_episode_steps") else None
