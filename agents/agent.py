"""What an agent is: one method that turns episodes under way into decisions, many episodes at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:  # `oreo --help` imports this folder, and these take longer than all the rest
    import gymnasium as gym
    import numpy as np

    from oreo.trajectory import Candidate, Step


@dataclass
class Episode:
    """An episode under way, as `oreo.rollouts.loop` shows it to an agent. Agents read it and draw from `rng`, no
    more."""

    key: int
    """Unique in this process; caches may be kept under it. A key that is no longer shown never comes back."""
    rng: np.random.Generator
    """The episode's own randomness, so that what it does never depends on which others share the batch."""
    env: gym.Env[str, str]
    """For agents that may look behind the curtain (experts, planners); a language model does not."""
    observation: str
    """What the environment said last."""
    info: dict[str, Any]
    """Gymnasium's info that came with it."""
    steps: list[Step] = field(default_factory=list)
    """What has happened so far."""


@dataclass(frozen=True)
class Decision:
    """What an agent does in one episode. Fields as in `oreo.trajectory.Step`."""

    action: str
    turn: str | None = None
    log_prob: float | None = None
    value: float | None = None
    candidates: tuple[Candidate, ...] = ()
    imitate: bool = True
    context_start: int = 0
    cut: bool = False
    token_ids: tuple[int, ...] | None = None
    actor: str = ""


def decision_of(step: Step, **changes: Any) -> Decision:
    """The decision that led to a step, to be taken again, but for `changes`."""
    return Decision(**{field.name: getattr(step, field.name) for field in fields(Decision)} | changes)


class Agent(Protocol):
    """Anything with a name and an `act`."""

    @property
    def name(self) -> str:
        """What is written into trajectories, settings included: `lm(temperature=1.0)`."""
        ...

    @property
    def checkpoint(self) -> str:
        """Digest of the weights it acts with; empty without any."""
        ...

    # One whose decisions have `token_ids` also has `tokenizer_digest`: oreo.encoding.token_digest of its tokenizer.

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        """One decision per episode, in the same order."""
        ...
