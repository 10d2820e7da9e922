"""Writing a house and a task as a PDDL problem in ALFRED's form.

Left out, because no text ever shows it: the fixtures of a room that stand in no receptacle (windows, light switches, …)
and the bare kind names that ALFRED also declares as objects.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from oreo.envs.alfworld.package_data import Receptacle, able, goal_template, holds, object_kinds, receptacle_kinds
from oreo.envs.alfworld.placement import FIXTURES
from oreo.envs.draws import Draws


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
    as_real: bool = False
    """Whether, as in the real rooms, several receptacles may be at one spot, so that "go to" from one to the other is
    refused, and furniture that alfworld's floor plan does not list has no doors. Otherwise each has a spot of its own,
    and whatever is of a kind that opens does."""


def write_problem(name: str, house: House, task_type: str, params: dict[str, object]) -> str:
    """The problem as PDDL text. `name` is a PDDL word; `params` are ALFRED's pddl_params."""
    spots = _spots(house)
    ids = [encode(receptacle.id) for receptacle in house.receptacles]
    things = [(encode(thing.id), thing.kind, ids[thing.receptacle], spots[thing.receptacle]) for thing in house.things]
    start = _location(house.start)
    declared = [f"{thing} - object" for thing, *_ in things]
    declared += [f"{receptacle} - receptacle" for receptacle in ids]
    declared += [f"{location} - location" for location in dict.fromkeys((*spots, start))]

    furniture = [receptacle.kind for receptacle in house.receptacles]
    kinds = sorted({kind for _, kind, _, _ in things})
    facts = [f"(receptacleType {id_} {kind}Type)" for id_, kind in zip(ids, furniture, strict=True)]
    facts += [f"(objectType {thing} {kind}Type)" for thing, kind, _, _ in things]
    for kind in sorted(set(furniture)):
        facts += [f"(canContain {kind}Type {thing}Type)" for thing in kinds if thing in holds(kind)]
    facts += [f"(pickupable {thing})" for thing, kind, _, _ in things if kind not in FIXTURES]
    facts += _facts("isReceptacleObject", "Movable", things)
    facts += [f"(openable {encode(place.id)})" for place in house.receptacles if _opens(place, house)]
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
    """Return what every problem declares: the agent and all types, since the domain names some of them."""
    words = ["agent1 - agent"]
    words += [f"{kind}Type - otype" for kind in object_kinds()]
    words += [f"{kind}Type - rtype" for kind in receptacle_kinds()]
    return _lines(words) + "\n"


def encode(name: str) -> str:
    """An ALFRED id as a PDDL word: `Mug|+00.10|…` → `Mug_bar__plus_00_dot_10_bar_…`."""
    return name.replace("|", "_bar_").replace("-", "_minus_").replace("+", "_plus_").replace(".", "_dot_")


def _location(spot: tuple[int, int, int, int]) -> str:
    return encode("loc|{}|{}|{}|{}".format(*spot))


def _spots(house: House) -> list[str]:
    """A location for each receptacle. Where two stand at one spot and may not share it, the agent looks lower at the
    second: so it has a name of its own (in ALFRED's own problems a fifth of the receptacles share theirs)."""
    if house.as_real:
        return [_location(receptacle.spot) for receptacle in house.receptacles]
    taken = {house.start}
    spots = []
    for receptacle in house.receptacles:
        x, z, rotation, horizon = receptacle.spot
        while (x, z, rotation, horizon) in taken:
            horizon += 15
        taken.add((x, z, rotation, horizon))
        spots.append(_location((x, z, rotation, horizon)))
    return spots


def _opens(receptacle: Receptacle, house: House) -> bool:
    return receptacle.kind in able("Openable") and (receptacle.listed or not house.as_real)


def _facts(predicate: str, ability: str, things: list[tuple[str, str, str, str]]) -> list[str]:
    return [f"({predicate} {thing})" for thing, kind, _, _ in things if kind in able(ability)]


def _lines(words: list[str]) -> str:
    return "\n".join(f"        {word}" for word in words)


def near(draws: Draws, kind: str, place: str, taken: set[str]) -> str:
    """An id for an object on the receptacle `place`: kind and coordinates within a third of a metre of it."""
    x, y, z = (float(part) for part in place.split("|")[1:4])
    while True:
        where = (x + draws.between(-30, 30) / 100, y + 0.05, z + draws.between(-30, 30) / 100)
        name = f"{kind}|" + "|".join(f"{value:+06.2f}" for value in where)
        if name not in taken:
            taken.add(name)
            return name
