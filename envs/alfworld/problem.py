"""Writing a house and a task as a PDDL problem in ALFRED's form.

Left out, because no text ever shows it: the fixtures of a room that stand in no receptacle (windows, light switches, …)
and the bare kind names that ALFRED also declares as objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from oreo.envs.alfworld.layouts import Receptacle, able, goal_template, holds, object_kinds, receptacle_kinds
from oreo.envs.alfworld.places import FIXTURES


@dataclass(frozen=True)
class Thing:
    """An object and where it is at first."""

    id: str
    """kind|x|y|z in metres."""
    kind: str
    receptacle: int
    """Index into the house's receptacles."""


@dataclass(frozen=True)
class House:
    """A room as a game begins."""

    receptacles: tuple[Receptacle, ...]
    things: tuple[Thing, ...]
    start: tuple[int, int, int, int]
    """Where the agent stands; never a receptacle's spot."""


def write_problem(name: str, house: House, task_type: str, params: dict[str, object]) -> str:
    """The problem as PDDL text. `name` is a PDDL word; `params` are ALFRED's pddl_params."""
    spots = _distinct_spots(house)
    ids = [encode(receptacle.id) for receptacle in house.receptacles]
    things = [(encode(thing.id), thing.kind, ids[thing.receptacle], spots[thing.receptacle]) for thing in house.things]
    start = _location(house.start)
    declared = [f"{thing} - object" for thing, *_ in things]
    declared += [f"{receptacle} - receptacle" for receptacle in ids]
    declared += [f"{location} - location" for location in (*spots, start)]

    furniture = [receptacle.kind for receptacle in house.receptacles]
    kinds = sorted({kind for _, kind, _, _ in things})
    facts = [f"(receptacleType {id_} {kind}Type)" for id_, kind in zip(ids, furniture, strict=True)]
    facts += [f"(objectType {thing} {kind}Type)" for thing, kind, _, _ in things]
    for kind in sorted(set(furniture)):
        facts += [f"(canContain {kind}Type {thing}Type)" for thing in kinds if thing in holds(kind)]
    facts += [f"(pickupable {thing})" for thing, kind, _, _ in things if kind not in FIXTURES]
    facts += _facts("isReceptacleObject", "Movable", things)
    facts += [f"(openable {id_})" for id_, kind in zip(ids, furniture, strict=True) if kind in able("Openable")]
    facts += [f"(atLocation agent1 {start})"]
    for predicate in ("cleanable", "heatable", "coolable", "toggleable", "sliceable"):
        facts += _facts(predicate, predicate.capitalize(), things)
    facts += [f"(inReceptacle {thing} {receptacle})" for thing, _, receptacle, _ in things]
    facts += [f"(receptacleAtLocation {id_} {spot})" for id_, spot in zip(ids, spots, strict=True)]
    facts += [f"(objectAtLocation {thing} {spot})" for thing, _, _, spot in things]

    goal, _ = goal_template(task_type)
    goal = goal.format(obj=params["object_target"], recep=params["parent_target"], toggle=params["toggle_target"])
    objects = _header() + _lines(declared)
    return f"\n(define (problem {name})\n(:domain alfred)\n(:objects\n{objects}\n)\n(:init\n{_lines(facts)}\n)\n{goal}"


@cache
def _header() -> str:
    """What every problem declares: the agent and all types, since the domain names some of them."""
    words = ["agent1 - agent"]
    words += [f"{kind}Type - otype" for kind in object_kinds()]
    words += [f"{kind}Type - rtype" for kind in receptacle_kinds()]
    return _lines(words) + "\n"


def encode(name: str) -> str:
    """An ALFRED id as a PDDL word: `Mug|+00.10|…` → `Mug_bar__plus_00_dot_10_bar_…`."""
    return name.replace("|", "_bar_").replace("-", "_minus_").replace("+", "_plus_").replace(".", "_dot_")


def _location(spot: tuple[int, int, int, int]) -> str:
    return encode("loc|{}|{}|{}|{}".format(*spot))


def _distinct_spots(house: House) -> list[str]:
    """A location for each receptacle. Where two stand at one spot the agent looks lower at the second: each gets a name
    of its own, so that "go to" always works (in ALFRED's own problems a third of the receptacles share theirs)."""
    taken = {house.start}
    spots = []
    for receptacle in house.receptacles:
        x, z, rotation, horizon = receptacle.spot
        while (x, z, rotation, horizon) in taken:
            horizon += 15
        taken.add((x, z, rotation, horizon))
        spots.append(_location((x, z, rotation, horizon)))
    return spots


def _facts(predicate: str, ability: str, things: list[tuple[str, str, str, str]]) -> list[str]:
    return [f"({predicate} {thing})" for thing, kind, _, _ in things if kind in able(ability)]


def _lines(words: list[str]) -> str:
    return "\n".join(f"        {word}" for word in words)
