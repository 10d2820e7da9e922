"""Drawing a house and a task for it: which furniture, which objects, where they stand, what is asked."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from oreo.envs.alfworld import layouts
from oreo.envs.alfworld.draws import Draws
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.knobs import Knobs
from oreo.envs.alfworld.layouts import FloorPlan, Receptacle, able, holds
from oreo.envs.alfworld.places import FIXTURES, PLACES
from oreo.envs.alfworld.problem import House, Thing, write_problem

# Task type → ability of the object, receptacle kind of the appliance.
_APPLIANCE = {
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

_COPIES = {1: 0.4, 2: 0.32, 3: 0.28}  # How many of a kind a whole room holds (ALFWorld train).


def draw_game(knobs: Knobs, attempt: int = 0) -> Game:
    """One draw of a game, not yet confirmed by play."""
    # The task type comes from a stream of its own: attempts may fail without shifting the mix.
    task_type = Draws(knobs.seed, int(knobs.heldout), knobs.index, 0).choice(knobs.task_types)
    draws = Draws(knobs.seed, int(knobs.heldout), knobs.index, attempt + 1)
    plan_name, tasks = draws.choice(_plans(task_type, knobs.heldout))
    plan = layouts.floor_plan(plan_name)
    thing = draws.choice(list(tasks))
    target = draws.choice(tasks[thing])
    house = _draw_house(draws, plan, task_type, thing, target, knobs)

    look = task_type == "look_at_obj_in_light"
    params: dict[str, object] = {
        "mrecep_target": "",
        "object_sliced": False,
        "object_target": thing,
        "parent_target": "" if look else target,
        "toggle_target": target if look else "",
    }
    _, sentences = layouts.goal_template(task_type)
    words = {"obj": thing.lower(), "recep": target.lower(), "toggle": target.lower()}
    sentence = draws.choice(sentences).format(**words)
    domain, grammar = layouts.game_logic(knobs.dialect)
    split = "unseen" if knobs.heldout else "train"
    problem = write_problem(f"plan_{split}_{knobs.seed}_{knobs.index}", house, task_type, params)
    return Game(
        name=str(knobs),
        pddl_domain=domain,
        grammar=grammar.replace("UNKNOWN GOAL", sentence),
        pddl_problem=problem,
        task_type=task_type,
        params=params,
        floor_plan=plan_name,
    )


@cache
def _plans(task_type: str, heldout: bool) -> tuple[tuple[str, dict[str, tuple[str, ...]]], ...]:
    """The floor plans where such a task can be posed, each with its tasks: object kind → target kinds (or lamps)."""
    names = [name for room in layouts.rooms_for(task_type) for name in layouts.floor_plans(room, heldout)]
    plans = ((name, _tasks(layouts.floor_plan(name), task_type)) for name in names)
    return tuple((name, tasks) for name, tasks in plans if tasks)


def _tasks(plan: FloorPlan, task_type: str) -> dict[str, tuple[str, ...]]:
    furniture = sorted({receptacle.kind for receptacle in plan.receptacles})
    things = [thing for thing in plan.objects if thing not in FIXTURES and _sources(thing, furniture)]
    if task_type == "look_at_obj_in_light":
        lamp = "DeskLamp" in plan.objects and _sources("DeskLamp", furniture)
        return {thing: ("DeskLamp",) for thing in things} if lamp else {}
    ability, appliance = _APPLIANCE.get(task_type, ("", ""))
    if appliance and appliance not in furniture:
        return {}
    tasks = {}
    for thing in things:
        if ability and thing not in able(ability):
            continue
        targets = [kind for kind in furniture if kind in _TARGETS and kind != appliance and thing in holds(kind)]
        # There must be somewhere else to find it.
        targets = [kind for kind in targets if set(_sources(thing, furniture)) - {kind}]
        if targets:
            tasks[thing] = tuple(targets)
    return tasks


def _sources(thing: str, furniture: Sequence[str]) -> dict[str, int]:
    """Where an object of this kind may be at first, among these kinds of furniture, with weights."""
    return {
        kind: weight
        for kind, weight in PLACES.get(thing, {}).items()
        if kind in furniture and (thing in FIXTURES or thing in holds(kind))
    }


def _draw_house(draws: Draws, plan: FloorPlan, task_type: str, thing: str, target: str, knobs: Knobs) -> House:
    """A house in which the task can be done and is not done yet."""
    look = task_type == "look_at_obj_in_light"
    furniture = sorted({receptacle.kind for receptacle in plan.receptacles})
    sources = _sources(thing, furniture)
    sources.pop(target, None)
    lamp_at = draws.weighted(_sources("DeskLamp", furniture)) if look else ""
    appliance = _APPLIANCE.get(task_type, ("", ""))[1]
    needed = [lamp_at if look else target, draws.weighted(sources), *([appliance] if appliance else [])]
    receptacles = _draw_furniture(draws, plan, needed, knobs.max_receptacles)

    furniture = [receptacle.kind for receptacle in receptacles]
    copies = max(draws.weighted(_COPIES), 2 if task_type == "pick_two_obj_and_place" else 1)
    if knobs.max_objects is not None:
        copies = min(copies, knobs.max_objects - (1 if look else 0))
    kinds = _draw_kinds(draws, plan, furniture, [thing] * copies + (["DeskLamp"] if look else []), knobs.max_objects)

    things: list[Thing] = []
    taken: set[str] = set()
    for kind in kinds:
        places = {lamp_at: 1} if look and kind == "DeskLamp" else _sources(kind, furniture)
        if kind == thing:
            places.pop(target, None)  # What the task asks for never starts where it is to go.
        place = draws.weighted(places)
        index = draws.choice([index for index, name in enumerate(furniture) if name == place])
        things.append(Thing(_position(draws, kind, receptacles[index].id, taken), kind, index))
    things.sort(key=lambda thing: thing.id)
    x, z = draws.choice(plan.points)
    return House(tuple(receptacles), tuple(things), (x, z, draws.between(0, 3), 30))


def _draw_furniture(draws: Draws, plan: FloorPlan, needed: list[str], limit: int | None) -> list[Receptacle]:
    """One receptacle of each kind needed, then others, kind by kind: cabinets must not crowd out all else. Sorted."""
    by_kind: dict[str, list[Receptacle]] = {}
    for receptacle in draws.shuffled(plan.receptacles):
        by_kind.setdefault(receptacle.kind, []).append(receptacle)
    kept = [by_kind[kind].pop() for kind in dict.fromkeys(needed)]
    for _ in range(_size(draws, len(plan.receptacles), limit) - len(kept)):
        kept.append(by_kind[draws.choice([kind for kind, rest in by_kind.items() if rest])].pop())
    return sorted(kept, key=lambda receptacle: receptacle.id)


def _draw_kinds(
    draws: Draws, plan: FloorPlan, furniture: Sequence[str], needed: list[str], limit: int | None
) -> list[str]:
    """The object kinds of a house, one entry for each object: those needed, then others that have a place in it."""
    others = [kind for kind in plan.objects if kind not in needed and _sources(kind, furniture)]
    copies = [kind for kind in others for _ in range(1 if kind in FIXTURES else draws.weighted(_COPIES))]
    room = _size(draws, len(needed) + len(copies), limit) - len(needed)
    return needed + draws.shuffled(copies)[: max(0, room)]


def _size(draws: Draws, available: int, limit: int | None) -> int:
    """How many: all there is without a limit, else mostly near the limit."""
    if limit is None:
        return available
    most = min(available, limit)
    return draws.between(max(1, (3 * most + 2) // 4), most)


def _position(draws: Draws, kind: str, place: str, taken: set[str]) -> str:
    """An id for an object on the receptacle `place`: kind and coordinates within a third of a metre of it."""
    x, y, z = (float(part) for part in place.split("|")[1:4])
    while True:
        near = (x + draws.between(-30, 30) / 100, y + 0.05, z + draws.between(-30, 30) / 100)
        name = f"{kind}|" + "|".join(f"{value:+06.2f}" for value in near)
        if name not in taken:
            taken.add(name)
            return name
