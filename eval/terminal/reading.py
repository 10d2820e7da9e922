"""An episode as it is being read: all that is known of it, and where in it the reader stands. Pure functions.

Position 0 is the beginning; position k is step k, with what it was answered. Nothing here draws, waits or acts.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from oreo.eval.terminal.screen import View, value_of
from oreo.trajectory import Step


@dataclass(frozen=True)
class Reading:
    """Where somebody stands in an episode, which may still go on."""

    view: View
    """All of the episode so far."""
    position: int = 0

    def __post_init__(self) -> None:
        assert 0 <= self.position <= len(self.view.steps), (self.position, len(self.view.steps))

    @property
    def length(self) -> int:
        """Steps that are known."""
        return len(self.view.steps)

    @property
    def at_end(self) -> bool:
        return self.position == self.length

    @property
    def step(self) -> Step | None:
        """The step one stands at; None at the beginning."""
        return self.view.steps[self.position - 1] if self.position else None

    @property
    def answer(self) -> str:
        """What the environment said to it, or at first."""
        return answer(self.view, self.position)

    def at(self, position: int) -> Reading:
        """The same episode at another position, the nearest there is."""
        return replace(self, position=max(0, min(position, self.length)))

    def grown(self, view: View) -> Reading:
        """More of the same episode. Whoever stood at its end stands there again; anybody else stays."""
        position = len(view.steps) if self.at_end else min(self.position, len(view.steps))
        return Reading(view, position)


def answer(view: View, position: int) -> str:
    """The observation at a position: what the environment said to its step, or at first."""
    return view.observation if position == len(view.steps) else view.steps[position].observation


def values(view: View) -> list[float | None]:
    """V of the state that each step was chosen in."""
    return [value_of(step) for step in view.steps]


def advantages(view: View) -> list[float | None]:
    """What each step gained: r_t + V(s_{t+1}) − V(s_t), the explicit advantage of arXiv 2412.16145, equation 11, with
    what the step was paid.

    Behind the end of an episode V is 0. None where a value is not known, and at the last step of an episode that goes
    on or was cut off.
    """
    over = bool(view.outcome) and not view.cut_off
    states: list[float | None] = [*(step.value for step in view.steps), 0.0 if over else None]
    return [
        None if before is None or after is None else step.reward + after - before
        for step, before, after in zip(view.steps, states, states[1:], strict=False)
    ]


def falls(view: View) -> list[int]:
    """Positions of the steps that lost value, the largest fall first."""
    lost = [(gain, place) for place, gain in enumerate(advantages(view), 1) if gain is not None and gain < 0]
    return [place for _, place in sorted(lost)]


def refusals(view: View) -> list[int]:
    """Positions of the steps whose action the environment refused."""
    return [place for place, step in enumerate(view.steps, 1) if step.action_valid is False]


def next_of(positions: list[int], position: int) -> int | None:
    """The first of some ascending positions behind this one; behind the last, the first again."""
    return next((place for place in positions if place > position), positions[0] if positions else None)


def next_fall(view: View, position: int) -> int | None:
    """The largest fall of value; from there the second largest, and so on round."""
    ordered = falls(view)
    if not ordered:
        return None
    return ordered[(ordered.index(position) + 1) % len(ordered)] if position in ordered else ordered[0]
