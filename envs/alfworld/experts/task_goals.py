"""Reads what a goal asks for, if it is one of ALFWorld's six: objects of a kind in one receptacle, or one under a lamp.

A goal in PDDL can say anything. It is recognised by what it says, not by the task type that a game claims: all its
conditions, once the nested `exists` and `and` are opened, are exactly those of one of the two dataclasses below.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from oreo.envs.alfworld.engines.pddl import Tree, typed_list

Atom = tuple[str, ...]

_MARKS = {"isclean": ("cleanable", "clean"), "ishot": ("heatable", "hot"), "iscool": ("coolable", "cool")}
"""What a goal asks of an object, what it asks for beside it, and the set of State that tells."""


@dataclass(frozen=True)
class Placing:
    """`count` (1 or 2) objects of a type in the same receptacle of a type. Two need not be clean, hot or cool."""

    kind: str
    target: str
    count: int = 1
    mark: str = ""
    """ "clean", "hot" or "cool": the object has to be."""


@dataclass(frozen=True)
class Looking:
    """An object of a type in hand, at a place with a lamp of a type that has been switched."""

    kind: str
    lamp: str


def read_goal(tree: Tree) -> Placing | Looking | None:
    """Read a goal of ALFWorld's; None for any other goal."""
    try:
        atoms = set(_atoms(tree, {}, count()))
    except _Other:
        return None
    return _placing(atoms) or _looking(atoms)


class _Other(Exception):
    """The goal is more than a row of facts."""


def _atoms(tree: Tree, names: dict[str, str], fresh: Iterator[int]) -> Iterator[Atom]:
    """The facts that a goal is made of; every variable gets a name of its own, and `differ` stands for (not (= …))."""
    if not isinstance(tree, list) or not tree:
        raise _Other
    word, *parts = tree
    if word == "and":
        for part in parts:
            yield from _atoms(part, names, fresh)
    elif word == "exists" and len(parts) == 2 and isinstance(parts[0], list):
        new = typed_list([str(name) for name in parts[0]])
        yield from _atoms(parts[1], names | {name: f"{name} {next(fresh)}" for name in new}, fresh)
    elif word == "not" and len(parts) == 1 and isinstance(parts[0], list) and parts[0][:1] == ["="]:
        yield ("differ", *sorted(names.get(str(part), str(part)) for part in parts[0][1:]))
    elif isinstance(word, str) and all(isinstance(part, str) for part in parts):
        yield (word, *(names.get(str(part), str(part)) for part in parts))
    else:
        raise _Other


def _placing(atoms: set[Atom]) -> Placing | None:
    targets = [atom for atom in atoms if atom[0] == "receptacletype"]
    things = sorted(atom for atom in atoms if atom[0] == "objecttype")
    marks = [atom[0] for atom in atoms if atom[0] in _MARKS]
    if len(targets) != 1 or len(things) not in (1, 2) or len(marks) > 2 - len(things):
        return None
    _, place, target = targets[0]
    _, thing, kind = things[0]
    expected = {*targets, *things, *(("inreceptacle", variable, place) for _, variable, _ in things)}
    if len(things) == 2:
        expected.add(("differ", *sorted(variable for _, variable, _ in things)))
    expected |= {(predicate, thing) for mark in marks for predicate in (mark, _MARKS[mark][0])}
    if atoms != expected or not _free(thing, place) or {kind_of for _, _, kind_of in things} != {kind}:
        return None
    return Placing(kind, target, len(things), _MARKS[marks[0]][1] if marks else "")


def _looking(atoms: set[Atom]) -> Looking | None:
    by_predicate = {atom[0]: atom for atom in atoms if atom[0] != "objecttype"}
    kinds = {atom[1]: atom[2] for atom in atoms if atom[0] == "objecttype"}
    if not {"holds", "toggleable", "receptacleatlocation", "atlocation"} <= by_predicate.keys():
        return None
    (_, holder, thing), (_, lamp) = by_predicate["holds"], by_predicate["toggleable"]
    (_, place, location) = by_predicate["receptacleatlocation"]
    (_, agent, _) = by_predicate["atlocation"]
    if kinds.keys() != {thing, lamp} or not _free(holder, thing, lamp, place, location, agent):
        return None
    expected: set[Atom] = {
        ("holds", holder, thing),
        ("objecttype", thing, kinds[thing]),
        ("objecttype", lamp, kinds[lamp]),
        ("toggleable", lamp),
        ("istoggled", lamp),
        ("inreceptacle", lamp, place),
        ("receptacleatlocation", place, location),
        ("atlocation", agent, location),
    }
    return Looking(kinds[thing], kinds[lamp]) if atoms == expected else None


def _free(*names: str) -> bool:
    """Return whether all these are variables, each another one."""
    return all(name.startswith("?") for name in names) and len(set(names)) == len(names)
