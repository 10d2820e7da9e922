"""A game that is being played: what never changes in it (`World`) and what does (`State`).

Everything is known by its id, the PDDL name in lower case; people read the name made from it ("cabinet 4").
Lists are kept sorted by id, because that is the order in which the original lists things.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from functools import lru_cache
from typing import Any

from oreo.envs.alfworld.engines.entity_names import entity_names
from oreo.envs.alfworld.engines.pddl import Fact, Problem
from oreo.envs.alfworld.engines.rules import CHANGING, KNIFE_TYPES, PREDICATES, Rules
from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.errors import DataError

NONE: tuple[str, ...] = ()
FLAGS = {
    "opened": "opened",
    "isclean": "clean",
    "ishot": "hot",
    "iscool": "cool",
    "ison": "on",
    "istoggled": "toggled",
    "issliced": "sliced",
    "checked": "checked",
}
"""Changing predicates of one argument, and the set of State they are kept in."""


class State:
    """What can change. A step makes a new State and shares what stayed the same, so a snapshot is a reference."""

    __slots__ = (
        "at",
        "held",
        "inside",
        "present",
        *FLAGS.values(),
        "negated",
        "commands",
        "admissible",
        "won",
    )

    at: str
    """The agent's location."""
    held: str | None
    inside: dict[str, tuple[str, ...]]
    """receptacle -> the objects in it, sorted."""
    present: dict[str, tuple[str, ...]]
    """location -> the objects at it, sorted. Not quite what is in the receptacles there; it is a fact of its own."""
    opened: frozenset[str]
    clean: frozenset[str]
    hot: frozenset[str]
    cool: frozenset[str]
    on: frozenset[str]
    toggled: frozenset[str]
    """What was ever switched, whatever its state is now: the goals ask for this."""
    sliced: frozenset[str]
    checked: frozenset[str]
    negated: frozenset[Fact]
    """The facts (predicate first) that actions made false: the `not_…` of the original, which its wording asks for."""
    commands: dict[str, Any] | None
    """Worked out when first needed, as are the following: command -> what it does, except for going elsewhere."""
    admissible: list[str] | None
    won: bool | None

    def copy(self) -> State:
        new = State.__new__(State)
        new.at = self.at
        new.held = self.held
        new.inside = self.inside
        new.present = self.present
        new.opened = self.opened
        new.clean = self.clean
        new.hot = self.hot
        new.cool = self.cool
        new.on = self.on
        new.toggled = self.toggled
        new.sliced = self.sliced
        new.checked = self.checked
        new.negated = self.negated
        new.commands = None
        new.admissible = None
        new.won = self.won
        return new


class World:
    """What a problem says and no action changes."""

    def __init__(self, problem: Problem, rules: Rules, task: str) -> None:
        facts = problem.facts
        self.types = problem.types
        self.task = task
        self.rules = rules
        self.facts = facts
        self.names = entity_names(_checked_ids(problem))

        agents = facts.get("atlocation", set())
        if len(agents) != 1:
            raise UnknownGameLogic(f"{len(agents)} initial facts of atLocation (expected 1)")
        self.agent, self.start = next(iter(agents))
        if facts.get("holds") or facts.get("holdsany"):
            raise UnknownGameLogic("an agent that holds something at first")

        self.location = _only(facts, "receptacleatlocation")
        self.receptacles: dict[str, tuple[str, ...]] = {}
        for receptacle in sorted(self.location):
            place = self.location[receptacle]
            self.receptacles[place] = (*self.receptacles.get(place, NONE), receptacle)
        self.object_type = _only(facts, "objecttype")
        self.receptacle_type = _only(facts, "receptacletype")
        self.can_contain = facts.get("cancontain", set())
        self.openable = self.all("openable")
        self.pickupable = self.all("pickupable")
        self.toggleable = self.all("toggleable")
        self.sliceable = self.all("sliceable")
        self.cleanable = self.all("cleanable")
        self.heatable = self.all("heatable")
        self.coolable = self.all("coolable")
        self.knives = frozenset(name for name, kind in self.object_type.items() if kind in KNIFE_TYPES)
        self.start_hot = self.all("ishot")
        self.start_cool = self.all("iscool")
        self.has_microwave = self._anywhere("microwavetype")
        self.has_fridge = self._anywhere("fridgetype")
        self._index: dict[tuple[str, tuple[int, ...]], dict[Fact, list[Fact]]] = {}
        self._fixed_facts: list[str] | None = None

    def all(self, predicate: str) -> frozenset[str]:
        """Return the things of which a predicate with one argument holds at first."""
        return frozenset(row[0] for row in self.facts.get(predicate, ()))

    def _anywhere(self, kind: str) -> bool:
        return any(self.receptacle_type.get(receptacle) == kind for receptacle in self.location)

    def initial_state(self) -> State:
        state = State.__new__(State)
        state.at = self.start
        state.held = None
        state.inside = _grouped(self.facts.get("inreceptacle", set()))
        state.present = _grouped(self.facts.get("objectatlocation", set()))
        for predicate, attribute in FLAGS.items():
            setattr(state, attribute, self.all(predicate))
        state.negated = frozenset()
        state.commands = None
        state.admissible = None
        state.won = None
        return state

    def rows(self, predicate: str, pattern: tuple[str | None, ...]) -> Sequence[Fact]:
        """The facts of a predicate that never changes which agree with `pattern` (None: anything), sorted."""
        bound = tuple(place for place, value in enumerate(pattern) if value is not None)
        index = self._index.get((predicate, bound))
        if index is None:
            index = self._index[predicate, bound] = {}
            for row in sorted(self.facts.get(predicate, ())):
                index.setdefault(tuple(row[place] for place in bound), []).append(row)
        return index.get(tuple(value for value in pattern if value is not None), ())

    def can_be_at(self, thing: str, location: str) -> bool:
        """Return whether a pickupable object is, or could be put, at a location: all the planner knows of this kind."""
        kind = self.object_type.get(thing)
        return (thing, location) in self.facts.get("objectatlocation", ()) or any(
            (self.receptacle_type.get(receptacle), kind) in self.can_contain
            for receptacle in self.receptacles.get(location, NONE)
        )

    def fact_texts(self, state: State) -> list[str]:
        """All facts, by names, sorted. `ison` is what the original shows, which forgets it when a lamp is used."""
        if self._fixed_facts is None:
            self._fixed_facts = [
                self._fact_text((predicate, *row))
                for predicate, rows in self.facts.items()
                if predicate not in CHANGING
                for row in rows
            ]
        facts: list[Fact] = [("atlocation", self.agent, state.at)]
        if state.held is not None:
            facts += [("holds", self.agent, state.held), ("holdsany", self.agent)]
        facts += [("inreceptacle", thing, place) for place, things in state.inside.items() for thing in things]
        facts += [("objectatlocation", thing, place) for place, things in state.present.items() for thing in things]
        for predicate, attribute in FLAGS.items():
            if predicate != "ison":
                facts += [(predicate, thing) for thing in getattr(state, attribute)]
        facts += [("ison", thing) for thing in self.all("ison") if ("ison", thing) not in state.negated]
        facts += [(f"not_{fact[0]}", *fact[1:]) for fact in state.negated]
        return sorted(self._fixed_facts + [self._fact_text(fact) for fact in facts])

    def _fact_text(self, fact: Fact) -> str:
        names = self.names
        return f"{fact[0]} " + " ".join([names[thing].strip() for thing in fact[1:]])


def _only(facts: dict[str, Set[Fact]], predicate: str) -> dict[str, str]:
    """A two-place predicate as a dict, where every first argument has one second argument only."""
    rows = facts.get(predicate, set())
    table: dict[str, str] = dict(rows)  # type: ignore[arg-type]
    if len(table) != len(rows):
        raise UnknownGameLogic(f"something with more than one fact of {predicate!r}")
    return table


def _grouped(rows: Iterable[Fact]) -> dict[str, tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for thing, place in sorted(rows):
        groups.setdefault(place, []).append(thing)
    return {place: tuple(things) for place, things in groups.items()}


def _checked_ids(problem: Problem) -> set[str]:
    """All things that facts are about. The original drops facts of a wrong type silently; such a game is not ours."""
    types = problem.types
    ids: set[str] = set()
    for predicate, rows in problem.facts.items():
        expected = PREDICATES.get(predicate)
        if expected is None:
            raise UnknownGameLogic(f"the predicate {predicate!r} in the PDDL problem")
        columns = _columns_of_shared(rows) if isinstance(rows, frozenset) else _columns(rows)
        if columns is None or len(columns) != len(expected):
            raise DataError(f"malformed PDDL problem: a fact of {predicate!r} has not {len(expected)} arguments")
        for things, kind in zip(columns, expected, strict=True):
            if set(map(types.get, things)) != {kind}:
                for thing in things - types.keys():
                    raise DataError(f"malformed PDDL problem: a fact of {predicate!r} has the undeclared {thing!r}")
                raise UnknownGameLogic(f"a fact of {predicate!r} in the PDDL problem that is not about a {kind}")
            ids |= things
    return ids


def _columns(rows: Set[Fact]) -> list[set[str]] | None:
    """Return what stands at each place of some facts; None where they differ in length."""
    if len(set(map(len, rows))) != 1:
        return None
    return [set(column) for column in zip(*rows, strict=True)]


_columns_of_shared = lru_cache(maxsize=512)(_columns)
