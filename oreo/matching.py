"""What an environment says of an episode that somebody recorded elsewhere: which of its games it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from oreo.field_docs import document_fields
from oreo.trajectory import Trajectory


@document_fields
@dataclass(frozen=True)
class Matched:
    """An episode, with what its environment knows of it."""

    trajectory: Trajectory
    """With env_id, env_kwargs, game, task, task_type and dialect as the environment has them."""
    outcome_known: bool
    """Whether `won` means something: the source said it, or the environment has played it."""
    found: bool | None = None
    """Whether it has found its game; None: nobody has looked for it."""
    why: str = ""
    """Where it has not: why, and what may help."""
    games: tuple[str, ...] = ()
    """Of several games that fit, their names; the episode then has none."""


Match: TypeAlias = Callable[[Trajectory, bool], Matched]
"""Takes an episode, whose `game` is what its source called it, and whether its outcome is known."""
