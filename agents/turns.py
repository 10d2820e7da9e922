"""What a language model says in a turn; the action in it: oreo.encoding.actions."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oreo.agents.agent import Decision, Episode
from oreo.encoding.actions import action_of


@dataclass
class Turn:
    """One sampled turn."""

    ids: list[int]
    """Its tokens, without the one that ended it."""
    text: str
    log_prob: float
    """Summed over its tokens and the one that ended it."""
    read: int
    """How many of the tokens the policy's cache has seen: all, or all but the last where none was drawn after it."""


def decision(text: str, **known: Any) -> Decision:
    """What a turn's text means; `turn` is left out where it says no more than the action."""
    action = action_of(text)
    return Decision(action, turn=None if action == text else text, **known)


def different(turns: Sequence[Any]) -> list[int]:
    """The places of the turns to weigh: of equal texts the first, in the order in which they were sampled."""
    first: dict[str, int] = {}
    for place, turn in enumerate(turns):
        first.setdefault(turn.text, place)
    return list(first.values())


def observations_of(episode: Episode) -> list[str]:
    """All observations so far, the present one last."""
    return [*(step.observation for step in episode.steps), episode.observation]


def warn_of_cut_turns(max_new_tokens: int) -> None:
    """Once a run: a model that is cut off in every turn plays far below what it can."""
    warnings.warn(
        f"a turn was cut off at max_new_tokens={max_new_tokens}; for longer ones: --agent-arg max_new_tokens=…",
        stacklevel=2,
    )
