"""Who is told while episodes are played."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oreo.errors import OreoError


def _ignore(_: Any) -> None:
    pass


@dataclass(frozen=True)
class Callbacks:
    """What is called while episodes are played into a buffer."""

    on_episode: Callable[[bool], object] = _ignore
    """When an episode is stored, with whether it was won."""
    on_steps: Callable[[int], object] = _ignore
    """Now and then, with the number of steps that all episodes have taken since the last time."""
    on_failure: Callable[[OreoError], object] | None = None
    """When an environment's error has ended an episode, which is not stored then; None: the error is raised."""
