"""ALFWorld: household games in text, on the original engine or on a simulator that says the same words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from oreo.envs.alfworld.env import ALFWorldEnv as ALFWorldEnv

__all__ = ["ALFWorldEnv"]


def __getattr__(name: str) -> Any:
    if name != "ALFWorldEnv":
        raise AttributeError(f"module 'oreo.envs.alfworld' has no attribute {name!r}")
    from oreo.envs.alfworld.env import ALFWorldEnv

    return ALFWorldEnv
