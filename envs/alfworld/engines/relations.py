"""Questions to a world and its state: does a fact hold, and which facts agree with a pattern.

Both are made for a predicate beforehand, so that asking costs no more than a look into the right container.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from oreo.envs.alfworld.engines.pddl import Fact
from oreo.envs.alfworld.engines.rules import PREDICATES
from oreo.envs.alfworld.engines.world import FLAGS, NONE, State, World
from oreo.envs.alfworld.errors import UnknownGameLogic

Holds = Callable[[World, State, Fact], bool]
Rows = Callable[[World, State, tuple[str | None, ...]], Sequence[Fact]]


def holds_test(predicate: str) -> Holds:
    """A test whether a fact of this predicate holds, given its arguments."""
    if predicate in FLAGS:
        attribute = FLAGS[predicate]
        return lambda world, state, row: row[0] in getattr(state, attribute)
    if predicate == "atlocation":
        return lambda world, state, row: row[1] == state.at and row[0] == world.agent
    if predicate == "holds":
        return lambda world, state, row: row[1] == state.held and row[0] == world.agent
    if predicate == "holdsany":
        return lambda world, state, row: state.held is not None and row[0] == world.agent
    if predicate == "inreceptacle":
        return lambda world, state, row: row[0] in state.inside.get(row[1], NONE)
    if predicate == "objectatlocation":
        return lambda world, state, row: row[0] in state.present.get(row[1], NONE)
    if predicate in PREDICATES:
        return lambda world, state, row: row in world.facts.get(predicate, ())
    raise UnknownGameLogic(f"the predicate {predicate!r}")


def matching_rows(predicate: str) -> Rows:
    """A list of the facts of this predicate that agree with a pattern (None: anything), sorted."""
    if predicate in FLAGS:
        attribute = FLAGS[predicate]
        return lambda world, state, pattern: _agree([(thing,) for thing in sorted(getattr(state, attribute))], pattern)
    if predicate == "atlocation":
        return lambda world, state, pattern: _agree([(world.agent, state.at)], pattern)
    if predicate == "holds":
        return lambda world, state, pattern: _agree([(world.agent, state.held)] if state.held else [], pattern)
    if predicate == "holdsany":
        return lambda world, state, pattern: _agree([(world.agent,)] if state.held else [], pattern)
    if predicate == "inreceptacle":
        return lambda world, state, pattern: _pairs(state.inside, pattern)
    if predicate == "objectatlocation":
        return lambda world, state, pattern: _pairs(state.present, pattern)
    if predicate in PREDICATES:
        return lambda world, state, pattern: world.rows(predicate, pattern)
    raise UnknownGameLogic(f"the predicate {predicate!r}")


def _pairs(groups: dict[str, tuple[str, ...]], pattern: tuple[str | None, ...]) -> Sequence[Fact]:
    thing, place = pattern
    if place is None:
        pairs = sorted((member, where) for where, things in groups.items() for member in things)
        return pairs if thing is None else [pair for pair in pairs if pair[0] == thing]
    if thing is None:
        return [(member, place) for member in groups.get(place, NONE)]
    return [(thing, place)] if thing in groups.get(place, NONE) else []


def _agree(rows: list[Any], pattern: tuple[str | None, ...]) -> list[Fact]:
    return [row for row in rows if all(want is None or want == have for want, have in zip(pattern, row, strict=True))]
