"""What a language model says in a turn."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from oreo.actions import action_of
from oreo.agents.agent import Decision, Episode


@dataclass
class Turn:
    """A turn that was sampled, or a command that was read."""

    ids: list[int]
    """Its tokens, without the one that ended it."""
    text: str
    log_prob: float
    """Summed over its tokens and the one that ended it."""
    read: int
    """How many of the tokens the policy's cache has seen: all, or all but the last where none was drawn after it."""
    cut: bool = False
    """Whether it was ended for its length, and not by the model."""


def decision(text: str, **fields: Any) -> Decision:
    """What a turn's text means; `turn` is left out where it says no more than the action."""
    action = action_of(text)
    return Decision(action, turn=None if action == text else text, **fields)


def different(turns: Sequence[Any]) -> list[int]:
    """The places of the turns to weigh: of equal texts the first, in the order in which they were sampled."""
    first: dict[str, int] = {}
    for place, turn in enumerate(turns):
        first.setdefault(turn.text, place)
    return list(first.values())


def tally(turns: Sequence[Any]) -> dict[str, int]:
    """How many of the turns said each text."""
    return Counter(turn.text for turn in turns)


def observations_of(episode: Episode) -> list[str]:
    """All observations so far, the present one last."""
    return [*(step.observation for step in episode.steps), episode.observation]


def warn_of_cut_turns(max_new_tokens: int) -> None:
    """Once a run: a model that is cut off in every turn plays far below what it can."""
    warnings.warn(
        f"a turn was cut off at max_new_tokens={max_new_tokens}; for longer ones: --agent-arg max_new_tokens=…",
        stacklevel=2,
    )
