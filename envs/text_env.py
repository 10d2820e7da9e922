"""The contract of a text environment: a gymnasium.Env whose observations and actions are str.

Subclass `TextEnv` and write two methods: `start` and `act`. Optional: `info`, `won`, `expert_action`. What they give is
checked as it comes (plain_values.py). Not here: time limits (gymnasium's TimeLimit, set by `oreo.envs.make` from
`max_steps`) and registration (registry.py).
"""

from __future__ import annotations

import inspect
import signal
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import gymnasium as gym
import numpy as np

from oreo.envs import plain_values
from oreo.envs.text_space import TextSpace
from oreo.errors import EngineError, OreoError, UsageError, did_you_mean
from oreo.plugins import reason

T = TypeVar("T")


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
    """Whether the episode in progress is won; None (the default): it is when it ended with a positive reward.

    `reset` gives it back, before `start`, the value that it had before the first episode.
    """
    _text = ""
    _won_before: dict[str, Any] | None = None
    """`won` as it was before the first episode, where it is the instance's own."""

    def start(self, rng: np.random.Generator, **options: Any) -> str:
        """Begin an episode and return its first observation. All randomness comes from `rng`.

        `options` are what the caller gave `reset(options=…)`; name the ones you understand as keyword arguments.
        """
        raise UsageError(f"{type(self).__name__} needs a method start(self, rng) that returns a str")

    def act(self, text: str) -> tuple[str, float, bool]:
        """Take one action; return (observation, reward, done). `done` means the episode ended in the world itself."""
        raise UsageError(f"{type(self).__name__} needs act(self, text) -> (observation, reward, done)")

    def info(self) -> dict[str, Any]:
        """Return what to add to gymnasium's info after every reset and step."""
        return {}

    def expert_action(self) -> str:
        """The next action of an expert that may look behind the curtain. Environments without one leave this out."""
        raise UsageError(
            f"{type(self).__name__} has no expert: give it expert_action(self) -> str, or choose another agent"
        )

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """Begin an episode.

        Raises:
            UsageError: a seed or options that there are not.
            EngineError: the environment's own code failed, or gave what it should not; says where.
        """
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer) or seed < 0):
            raise UsageError(f"seed={seed!r}: expected a whole number, 0 or more")
        _check_options(self, options)
        super().reset(seed=None if seed is None else int(seed))
        if self._won_before is None:
            self._won_before = {name: value for name, value in vars(self).items() if name == "won"}
        vars(self).pop("won", None)
        vars(self).update(self._won_before)
        first = _run(self, "start", self.np_random, **(options or {}))
        self._text = _checked(self, "start", plain_values.text, first, "the first observation")
        return self._text, _info(self, ended_well=False)

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        """Take one action, as gymnasium has it. Raises as `reset`."""
        if not isinstance(action, str):
            raise UsageError(f"an action of {type(self).__name__} is a str, got {type(action).__name__}: {action!r}")
        self._text, reward, done = _checked(self, "act", plain_values.outcome, _run(self, "act", action))
        return self._text, reward, done, False, _info(self, ended_well=done and reward > 0)

    def render(self) -> str | None:
        """The last observation, in `render_mode="ansi"`."""
        return self._text if self.render_mode == "ansi" else None


def ask_expert(env: gym.Env[str, str]) -> str:
    """Return what the environment's own expert would do now.

    Raises:
        UsageError: the environment has no expert.
        EngineError: the expert's code failed, or gave no str; says where.
    """
    inner = env.unwrapped
    if getattr(inner, "expert_action", None) is None:
        raise UsageError(f"{type(inner).__name__} has no expert; choose another agent")
    return _checked(inner, "expert_action", plain_values.text, _run(inner, "expert_action"), "an expert's action")


def _info(env: TextEnv, *, ended_well: bool) -> dict[str, Any]:
    info = _checked(env, "info", plain_values.info, _run(env, "info"))
    won = ended_well if env.won is None else _checked(env, "act", plain_values.boolean, env.won, "won")
    return info | {"won": won}


def _run(env: gym.Env[str, str], method: str, *args: Any, **kwargs: Any) -> Any:
    """Call what the environment's author wrote. An error of that code says where it is from."""
    try:
        return getattr(env, method)(*args, **kwargs)
    except OreoError:
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            raise  # Ctrl-C; where that is ignored, as in worker processes, the author's code has raised it
        file, _ = _place(env, method)
        raise EngineError(f"{type(env).__name__}.{method} failed: {reason(error, file)}") from error


def _checked(env: gym.Env[str, str], method: str, convert: Callable[..., T], *result: Any) -> T:
    """Return what the method gave, converted by one of plain_values.py."""
    try:
        return convert(*result)
    except ValueError as error:
        file, line = _place(env, method)
        place = f" ({file}, line {line})" if file else ""
        raise EngineError(f"{type(env).__name__}.{method}{place}: {error}") from None


def _place(env: gym.Env[str, str], method: str) -> tuple[str | None, int]:
    """The file and line of a method."""
    code = getattr(inspect.unwrap(getattr(type(env), method)), "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code else (None, 0)


def _check_options(env: TextEnv, options: Any) -> None:
    """Check that `start` takes them before it is called: a TypeError of its own code is another matter."""
    if not options:
        return
    if not isinstance(options, Mapping) or not all(isinstance(name, str) for name in options):
        raise UsageError(f"options={options!r}: expected a dict of the options of {type(env).__name__}.start")
    _, *parameters = inspect.signature(env.start).parameters.values()
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters):
        return
    names = [parameter.name for parameter in parameters]
    for name in options:
        if name not in names:
            hint = did_you_mean(name, names) if names else "it takes none"
            raise UsageError(f"unknown reset option {name!r} of {type(env).__name__}: {hint}")


def continues_message(turn: str, stop: Iterable[str]) -> bool:
    """Return whether the agent's message goes on after this turn, so that the next one stands right behind it.

    Args:
        stop: the environment's `info["stop"]`. Where an agent writes one message step by step, it holds the texts at
            the first of which a turn ends while the message does not. Blanks at their end belong to what follows.
    """
    return any(turn.rstrip(" ").endswith(mark.rstrip(" ")) for mark in stop)


def step_limit(env: gym.Env[str, str]) -> int | None:
    """Return after how many steps `env` is truncated; None: nothing limits them."""
    # Gymnasium's TimeLimit keeps it under this name and offers no other.
    return env.get_wrapper_attr("_max_episode_steps") if env.has_wrapper_attr("_max_episode_steps") else None
