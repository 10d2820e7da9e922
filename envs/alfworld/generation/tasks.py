"""Which tasks can be posed in which floor plans, which of them a game's settings leave, and where objects may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.game import TASK_TYPES
from oreo.envs.alfworld.generation.settings import GeneratorSettings
from oreo.envs.alfworld.generation.train_statistics import task_counts
from oreo.envs.alfworld.package_data import FloorPlan, able, holds, room_of
from oreo.envs.alfworld.placement import FIXTURES, PLACES
from oreo.envs.draws import Draws
from oreo.errors import UsageError

Tasks = Mapping[str, tuple[str, ...]]
"""Object kind → target kinds (or lamps)."""

# Task type → ability of the object, receptacle kind of the appliance.
APPLIANCE = {
    "pick_clean_then_place_in_recep": ("Cleanable", "SinkBasin"),
    "pick_heat_then_place_in_recep": ("Heatable", "Microwave"),
    "pick_cool_then_place_in_recep": ("Coolable", "Fridge"),
}

# Furniture that tasks name as the place to bring things to; ALFRED's tasks know no other.
_TARGETS = (
    "ArmChair", "Bed", "Cabinet", "Cart", "CoffeeMachine", "CoffeeTable", "CounterTop", "Desk", "DiningTable", "Drawer",
    "Dresser", "Fridge", "GarbageCan", "Microwave", "Ottoman", "Safe", "Shelf", "SideTable", "Sofa", "StoveBurner",
    "Toilet", "ToiletPaperHanger",
)  # fmt: skip


def task_weights(settings: GeneratorSettings) -> dict[str, int]:
    """The task types that these settings leave, and how often each is to come up.

    Raises UsageError for a setting that no game can have: a floor plan of the other split or one without such a task,
    an object kind or a task type that the other settings rule out. (All six types together rule out nothing.)
    """
    task_types = settings.task_types
    if settings.floor_plans is not None or settings.objects is not None:
        _check_split(settings.floor_plans or (), settings.heldout)
        task_types = _possible_types(settings.task_types, settings.heldout, settings.floor_plans, settings.objects)
    return {name: sum(task_counts(name).values()) if settings.task_mix == "real" else 1 for name in task_types}


def tasks_by_plan(settings: GeneratorSettings, task_type: str) -> dict[str, Tasks]:
    """Floor plan → its tasks of this type, as far as these settings allow."""
    return _by_plan(task_type, settings.heldout, settings.floor_plans, settings.objects)


@lru_cache(maxsize=256)
def _by_plan(
    task_type: str, heldout: bool, plans: tuple[str, ...] | None, objects: tuple[str, ...] | None
) -> dict[str, Tasks]:
    names = [name for room in package_data.rooms_for(task_type) for name in package_data.floor_plans(room, heldout)]
    tasks_of = {}
    for name in names:
        if plans is None or name in plans or room_of(name) in plans:
            tasks = _tasks(package_data.floor_plan(name), task_type)
            tasks_of[name] = {thing: tasks[thing] for thing in tasks if objects is None or thing in objects}
    return {name: tasks for name, tasks in tasks_of.items() if tasks}


@lru_cache(maxsize=64)
def _possible_types(
    task_types: tuple[str, ...], heldout: bool, plans: tuple[str, ...] | None, objects: tuple[str, ...] | None
) -> tuple[str, ...]:
    """The task types that can be posed, once each single value is known to be met by some game."""
    plans_of = {task_type: _by_plan(task_type, heldout, plans, objects) for task_type in task_types}
    used = {name for by_plan in plans_of.values() for name in by_plan}
    met = {
        "task_types": {task_type for task_type in task_types if plans_of[task_type]},
        "objects": {thing for by_plan in plans_of.values() for tasks in by_plan.values() for thing in tasks},
        "floor_plans": used | {room_of(name) for name in used},
    }
    asked = {"task_types": task_types if task_types != TASK_TYPES else (), "objects": objects, "floor_plans": plans}
    for setting, values in asked.items():
        if missing := [name for name in values or () if name not in met[setting]]:
            others = [f"{name}={', '.join(chosen)}" for name, chosen in asked.items() if chosen and name != setting]
            where = f" with {' and '.join(others)}" if others else ""
            raise UsageError(f"{setting}: there is no task for {', '.join(missing)}{where}; leave it out")
    return tuple(task_type for task_type in task_types if plans_of[task_type])


def _check_split(plans: Sequence[str], heldout: bool) -> None:
    for name in plans:
        if name not in package_data.ROOMS and name not in package_data.floor_plans(room_of(name), heldout):
            side, value = ("for training", False) if heldout else ("held out", True)
            choices = (
                ", ".join(package_data.floor_plans(room_of(name), True)) if heldout else "the other plans of its room"
            )
            raise UsageError(f"{name} is a floor plan {side}: ask for heldout={value}, or choose from {choices}")


def _tasks(plan: FloorPlan, task_type: str) -> Tasks:
    furniture = sorted({receptacle.kind for receptacle in plan.receptacles})
    things = [thing for thing in plan.objects if thing not in FIXTURES and places_for(thing, furniture)]
    if task_type == "look_at_obj_in_light":
        lamp = "DeskLamp" in plan.objects and places_for("DeskLamp", furniture)
        return {thing: ("DeskLamp",) for thing in things} if lamp else {}
    ability, appliance = APPLIANCE.get(task_type, ("", ""))
    if appliance and appliance not in furniture:
        return {}
    tasks: dict[str, tuple[str, ...]] = {}
    for thing in things:
        if ability and thing not in able(ability):
            continue
        targets = [kind for kind in furniture if kind in _TARGETS and kind != appliance and thing in holds(kind)]
        # There must be somewhere else to find it.
        targets = [kind for kind in targets if set(places_for(thing, furniture)) - {kind}]
        if targets:
            tasks[thing] = tuple(targets)
    return tasks


def places_for(thing: str, furniture: Sequence[str]) -> dict[str, int]:
    """Return where an object of this kind may be at first, among these kinds of furniture, with weights."""
    return {
        kind: weight
        for kind, weight in PLACES.get(thing, {}).items()
        if kind in furniture and (thing in FIXTURES or thing in holds(kind))
    }


def exactly(draws: Draws, count: int, kinds: list[str]) -> list[str]:
    """`count` of these objects; all of them several times over where they are too few. None where there are none."""
    drawn: list[str] = []
    while kinds and len(drawn) < count:
        drawn += draws.shuffled(kinds)[: count - len(drawn)]
    return drawn
