"""The environment as something that a search can try turns in and set back."""

from __future__ import annotations

from typing import Any

from oreo.agents.agent import Episode
from oreo.envs.text_env import step_limit
from oreo.errors import UsageError


def steps_left(episode: Episode) -> int | None:
    """Steps until the episode is truncated."""
    limit = step_limit(episode.env)
    return None if limit is None else limit - len(episode.steps)


def world_of(episode: Episode) -> Any:
    """The environment, which has to be one that can be set back."""
    world = episode.env.unwrapped
    if not (hasattr(world, "snapshot") and hasattr(world, "restore")):
        raise UsageError(f"a search needs an environment with snapshot and restore; {type(world).__name__} has none")
    return world
