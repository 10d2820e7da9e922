"""Whether an environment begins a new episode by itself inside `step`, where only whoever plays it may."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import gymnasium as gym


@contextmanager
def watch_resets(env: gym.Env[Any, Any], on_reset: Callable[[str], object]) -> Iterator[None]:
    """In the block, call `on_reset` with the method's name when the environment calls its own `reset` or `start`.

    What `on_reset` raises goes up through the environment's code.
    """
    inner = env.unwrapped
    try:
        own = vars(inner)
    except TypeError:  # it has __slots__: nothing can be put before its methods
        yield
        return
    before: dict[str, Any] = {name: own[name] for name in ("reset", "start") if name in own}
    for name in ("reset", "start"):
        if callable(method := getattr(inner, name, None)):
            own[name] = _told(name, method, on_reset)
    try:
        yield
    finally:
        for name in ("reset", "start"):
            own.pop(name, None)
        own.update(before)


def _told(name: str, method: Callable[..., Any], on_reset: Callable[[str], object]) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        on_reset(name)
        return method(*args, **kwargs)

    return called
