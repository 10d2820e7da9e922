"""One ALFWorld game as data, and which of the two dialects it speaks."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from oreo.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    pass

DIALECTS = ("put", "move")
TASK_TYPES = (
    "pick_and_place_simple",
    "look_at_obj_in_light",
    "pick_clean_then_place_in_recep",
    "pick_heat_then_place_in_recep",
    "pick_cool_then_place_in_recep",
    "pick_two_obj_and_place",
)

# The sentence is part of a string in JSON: a quotation mark in it stands behind a backslash.
_TASK = re.compile(r'Your task is to: ((?:[^"\\]|\\.)*)(?=")', re.DOTALL)


@dataclass(frozen=True)
class Game:
    """A game file with what its `traj_data.json` adds. The PDDL and the grammar are the single source of truth."""

    name: str
    """Path of its game.tw-pddl below ALFWORLD_DATA, or `generated…/…` for a generated one."""
    pddl_domain: str
    grammar: str
    pddl_problem: str
    task_type: str = ""
    """One of TASK_TYPES."""
    params: dict[str, object] = field(default_factory=dict)
    """ALFRED's pddl_params: object_target, parent_target, toggle_target, mrecep_target, object_sliced."""
    floor_plan: str = ""
    """Like FloorPlan323."""
    human_goals: tuple[str, ...] = ()
    """What people wrote about the task, where the data has it."""

    @cached_property
    def dialect(self) -> str:
        """`put` ("put X in/on Y": data before alfworld 0.4) or `move` ("move X to Y"); read from the grammar."""
        return "move" if '"move {o} to {r}"' in self.grammar else "put"

    @cached_property
    def task(self) -> str:
        """The task sentence after "Your task is to: ", taken from the grammar."""
        parts = split_at_task(self.grammar)
        return parts[1].strip() if parts else ""


def split_at_task(grammar: str) -> tuple[str, str, str] | None:
    """The grammar up to its task sentence, the sentence as it stands there, and what follows; None without one."""
    match = _TASK.search(grammar)
    return (grammar[: match.start(1)], match[1], grammar[match.end(1) :]) if match else None


_NAME = r"(?:the )?[a-z]+ \d+"


_PLACING = re.compile(rf"\b(?:(P|p)ut ({_NAME}) in/on ({_NAME})|(M|m)ove ({_NAME}) to ({_NAME}))(?!\w)")


def check_dialect(dialect: str) -> None:
    """Raises UsageError for a dialect that is none."""
    if dialect not in DIALECTS:
        raise UsageError(f"unknown dialect {dialect!r}: {did_you_mean(str(dialect), DIALECTS)}")


def swap(text: str) -> str:
    """Every "put X in/on Y" in a text as "move X to Y", and every "move X to Y" as "put X in/on Y".

    X and Y are names as the games have them ("mug 1", also "the mug 1"); a task sentence ("put a mug in shelf") stays.
    """
    return _PLACING.sub(_swapped, text)


def _swapped(match: re.Match[str]) -> str:
    put, thing, place, move, other_thing, other_place = match.groups()
    if put:
        return f"{'M' if put == 'P' else 'm'}ove {thing} to {place}"
    return f"{'P' if move == 'M' else 'p'}ut {other_thing} in/on {other_place}"
