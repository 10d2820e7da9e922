"""What an agent considered at a step, best first, and whether the game would have accepted it."""

from __future__ import annotations

from dataclasses import dataclass

from oreo.actions import action_of
from oreo.text import one_line
from oreo.trajectory import Candidate, Step


@dataclass(frozen=True)
class Considered:
    """One of the turns an agent considered, as a line of it is shown."""

    text: str
    """Clean, in one line."""
    value: float | None
    log_prob: float | None
    count: int
    """How many of the samples said it."""
    taken: bool
    accepted: bool | None
    """Whether the environment takes, or took, its action; None: not known."""


def ranked(step: Step) -> list[Considered]:
    """Every candidate, by value where there is one, then by likelihood. Of equal ones the first counts as taken."""
    taken_at = next((at for at, candidate in enumerate(step.candidates) if candidate.text == step.text), None)
    rows = [
        Considered(
            one_line(candidate.text),
            candidate.value,
            candidate.log_prob,
            candidate.count,
            at == taken_at,
            _accepted(step, candidate, at == taken_at),
        )
        for at, candidate in enumerate(step.candidates)
    ]
    return sorted(
        rows, key=lambda row: (row.value is not None, row.value or 0.0, row.log_prob or 0.0, row.taken), reverse=True
    )


def _accepted(step: Step, candidate: Candidate, taken: bool) -> bool | None:
    if taken and step.action_valid is not None:
        return step.action_valid
    if step.admissible_commands is None:
        return None
    return action_of(candidate.text) in step.admissible_commands


def figures(row: Considered) -> list[str]:
    """What is known of a candidate in numbers: "V 0.83", "log p -1.20", "3 times"."""
    known = [figure("V", row.value), figure("log p", row.log_prob), f"{row.count} times" if row.count > 1 else ""]
    return [text for text in known if text]


def figure(name: str, value: float | None) -> str:
    """A number beside its name, nothing where there is none."""
    return "" if value is None else f"{name} {value:.2f}"
