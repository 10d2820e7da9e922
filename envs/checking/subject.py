"""What is checked, and how it is made anew: for every check, and in another process."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium as gym

from oreo.envs.registry import make, make_class
from oreo.errors import UsageError

TextEnvironment = gym.Env[str, str]


@dataclass(frozen=True)
class Subject:
    """An environment that can be made as often as is wanted."""

    name: str
    make: Callable[[], TextEnvironment]
    portable: dict[str, Any] | None
    """What another process makes it by: `spec`, `max_steps`, `env_kwargs`; None: it cannot."""

    @classmethod
    def of(cls, env: Any, max_steps: int | None, env_kwargs: Mapping[str, Any]) -> Subject:
        """What `oreo.envs.check` was given: a name, a class, a function that makes one, or an environment.

        Raises:
            UsageError: it is none of these, or an environment that cannot be copied.
        """
        kwargs = dict(env_kwargs)
        if isinstance(env, str):
            portable = {"spec": env, "max_steps": max_steps, "env_kwargs": kwargs}
            return cls(env, lambda: make(env, max_steps=max_steps, **kwargs), portable)
        if isinstance(env, type):
            spec = _importable(env)
            portable_class = None if spec is None else {"spec": spec, "max_steps": max_steps, "env_kwargs": kwargs}
            name = f"{env.__module__}:{env.__qualname__}"
            return cls(name, lambda: make_class(name, env, max_steps, kwargs), portable_class)
        if isinstance(env, gym.Env):
            if kwargs or max_steps is not None:
                raise UsageError("max_steps and arguments belong to an environment that is to be made; this one is")
            return cls(type(env.unwrapped).__qualname__, _copier(env), None)
        if callable(env):
            name = getattr(env, "__qualname__", type(env).__qualname__)
            return cls(name, lambda: _limited(env(**kwargs), max_steps), None)
        raise UsageError(f"expected an environment, its class, its name or a function that makes one, got {env!r}")


def _importable(env_class: type) -> str | None:
    """The class as `file.py:Class`; None where no file holds it under that name."""
    try:
        file = inspect.getfile(env_class)
    except (TypeError, OSError):
        return None
    return None if "<" in env_class.__qualname__ or not Path(file).is_file() else f"{file}:{env_class.__qualname__}"


def _copier(env: TextEnvironment) -> Callable[[], TextEnvironment]:
    try:
        pristine = copy.deepcopy(env)
    except Exception as error:
        raise UsageError(
            f"{type(env.unwrapped).__name__} cannot be copied ({type(error).__name__}: {error}), and most checks need "
            "a new one: give its name, its class, or a function that makes it"
        ) from error
    return lambda: copy.deepcopy(pristine)


def _limited(env: TextEnvironment, max_steps: int | None) -> TextEnvironment:
    from gymnasium.wrappers import TimeLimit

    from oreo.envs.text_env import step_limit

    limit = max_steps if max_steps is not None else getattr(env.unwrapped, "max_steps", None)
    return env if limit is None or step_limit(env) is not None else TimeLimit(env, limit)
