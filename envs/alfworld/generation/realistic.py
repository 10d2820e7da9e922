"""Houses without limits: drawn as the rooms of ALFWorld's train split are, by its figures (train_statistics.py).

A room has all its furniture, also the pieces that alfworld's floor plan does not list; receptacles may share a spot, as
drawers of one desk do. Left out: objects in two receptacles at once (a pan on two burners), and those in none.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.generation.problem import House, Thing, near
from oreo.envs.alfworld.generation.tasks import Tasks, exactly, places_for
from oreo.envs.alfworld.generation.train_statistics import (
    TARGET_COUNTS,
    TARGET_COUNTS_OF_TWO,
    asked_for,
    plan_weights,
    room_things,
    task_counts,
    task_weights,
    unlisted,
)
from oreo.envs.alfworld.package_data import FloorPlan, Receptacle
from oreo.envs.draws import Draws


def draw_task(draws: Draws, task_type: str, by_plan: Mapping[str, Tasks]) -> tuple[FloorPlan, str, str]:
    """A floor plan, an object kind and a target (or lamp), each as often as real tasks of this type have it.

    What never comes up in them, but is possible, comes up rarely.
    """
    rooms = dict.fromkeys(package_data.floor_plan(name).room for name in by_plan)
    room = draws.weighted({room: task_counts(task_type).get(room, 1) for room in rooms})
    weights = plan_weights(room)
    names = [name for name in by_plan if package_data.floor_plan(name).room == room]
    # A room's weights sum to a thousand; a held-out floor plan may have none.
    plan = draws.weighted({name: weights.get(name, 1000 // len(weights)) for name in names})
    thing_weights, target_weights = task_weights(task_type, room)
    tasks = by_plan[plan]
    thing = draws.weighted({thing: thing_weights.get(thing, 1) for thing in tasks})
    target = draws.weighted({target: target_weights.get(target, 1) for target in tasks[thing]})
    return package_data.floor_plan(plan), thing, target


def draw_house(
    draws: Draws, plan: FloorPlan, task_type: str, thing: str, target: str, distractors: int | None
) -> House:
    """A room in which the task can be done and is not done yet."""
    receptacles = _furniture(plan.name)
    by_kind: dict[str, list[int]] = {}
    for index, receptacle in enumerate(receptacles):
        by_kind.setdefault(receptacle.kind, []).append(index)
    things: list[Thing] = []
    taken: set[str] = set()
    for kind in _draw_kinds(draws, plan, tuple(by_kind), task_type, thing, distractors):
        places = _places(plan.room, kind, tuple(by_kind))
        if kind == thing:
            places = _for_the_task(places, task_type, target)
            places = places or places_for(kind, [other for other in by_kind if other != target])
        index = draws.choice(by_kind[draws.weighted(places)])
        things.append(Thing(near(draws, kind, receptacles[index].id, taken), kind, index))
    things.sort(key=lambda thing: thing.id)
    spots = {receptacle.spot for receptacle in receptacles}
    starts = [(x, z, turn, 30) for x, z in plan.points for turn in range(4) if (x, z, turn, 30) not in spots]
    return House(receptacles, tuple(things), draws.choice(starts), as_real=True)


def _draw_kinds(
    draws: Draws, plan: FloorPlan, furniture: tuple[str, ...], task_type: str, thing: str, distractors: int | None
) -> list[str]:
    """The object kinds of a room, one entry for each object."""
    two = task_type == "pick_two_obj_and_place"
    targets = draws.weighted(TARGET_COUNTS_OF_TWO if two else TARGET_COUNTS) if distractors is None else 1 + two
    needed = [thing] * targets + (["DeskLamp"] if task_type == "look_at_obj_in_light" else [])
    others = []
    for kind in plan.objects:
        if kind not in needed and _places(plan.room, kind, furniture):
            counts, _ = room_things(plan.room).get(kind, ({1: 1}, {}))
            others += [kind] * draws.weighted(counts)
    return needed + (others if distractors is None else exactly(draws, distractors, others))


@cache
def _places(room: str, kind: str, furniture: tuple[str, ...]) -> Mapping[str, float]:
    """Return where objects of a kind may stand, with weights: as in real rooms of this sort, else as in any."""
    _, weights = room_things(room).get(kind, ({}, {}))
    places = {place: weight for place, weight in weights.items() if place in furniture}
    return places or places_for(kind, furniture)


def _for_the_task(places: Mapping[str, float], task_type: str, target: str) -> Mapping[str, float]:
    """Return where an object that the task asks for may be: not at target or appliance, and rather in the open."""
    share = {place: asked_for(task_type).get(place, 100) for place in places if place != target}
    return {place: places[place] * share[place] for place in share if share[place]}


@cache
def _furniture(name: str) -> tuple[Receptacle, ...]:
    """All furniture of a floor plan, sorted by id. Of the burners of a stove all but one are at one spot."""
    receptacles = package_data.floor_plan(name).receptacles
    stove = [receptacle for receptacle in receptacles if receptacle.kind == "StoveBurner"]
    moved = {burner.id: replace(burner, spot=stove[0].spot) for burner in stove[:-1]}
    every = [moved.get(receptacle.id, receptacle) for receptacle in receptacles]
    for kind, count in unlisted(name):
        same_kind = [receptacle for receptacle in receptacles if receptacle.kind == kind]
        for number in range(count):
            every.append(_above(same_kind or receptacles, kind, number))
    assert len({receptacle.id for receptacle in every}) == len(every), name
    return tuple(sorted(every, key=lambda receptacle: receptacle.id))


def _above(others: Sequence[Receptacle], kind: str, number: int) -> Receptacle:
    """Return one more piece, above one of the others; the agent looks up for it."""
    other = others[number % len(others)]
    higher = 1 + number // len(others)
    x, y, z = (float(part) for part in other.id.split("|")[1:4])
    column, row, turn, horizon = other.spot
    name = f"{kind}|{x:+06.2f}|{y + 0.01 * higher:+06.2f}|{z:+06.2f}"
    return Receptacle(name, kind, (column, row, turn, horizon - 15 * higher), listed=False)
