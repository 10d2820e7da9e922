"""Drawing a house and a task for it: which furniture, which objects, where they stand, what is asked.

Houses with a limit on their size are drawn here; those without, as the real ones are, in realistic.py.
"""

from __future__ import annotations

from collections.abc import Sequence

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.generation import realistic
from oreo.envs.alfworld.generation.problem import House, Thing, near, write_problem
from oreo.envs.alfworld.generation.settings import GeneratorSettings
from oreo.envs.alfworld.generation.tasks import APPLIANCE, exactly, places_for, task_weights, tasks_by_plan
from oreo.envs.alfworld.package_data import FloorPlan, Receptacle
from oreo.envs.alfworld.placement import FIXTURES
from oreo.envs.draws import Draws

ATTEMPTS_A_TYPE = 100
"""Draws with one task type before the next is tried."""

_COPIES = {1: 0.4, 2: 0.32, 3: 0.28}  # How many of a kind a whole room holds (ALFWorld train).


def draw_game(settings: GeneratorSettings, attempt: int = 0) -> Game:
    """One draw of a game, not yet confirmed by play.

    Raises UsageError where the settings leave no task.
    """
    task_type = _task_type(settings, attempt)
    draws = Draws(settings.seed, int(settings.heldout), settings.index, attempt + 1)
    by_plan = tasks_by_plan(settings, task_type)
    if settings.unlimited:
        plan, thing, target = realistic.draw_task(draws, task_type, by_plan)
        house = realistic.draw_house(draws, plan, task_type, thing, target, settings.distractors)
    else:
        plan_name, tasks = draws.choice(list(by_plan.items()))
        plan = package_data.floor_plan(plan_name)
        thing = draws.choice(list(tasks))
        target = draws.choice(tasks[thing])
        house = _draw_house(draws, plan, task_type, thing, target, settings)
    return _game(settings, draws, plan.name, house, task_type, thing, target)


def _task_type(settings: GeneratorSettings, attempt: int) -> str:
    """Draw from a stream of its own: attempts may fail without shifting the mix. After many, the next type comes."""
    weights = task_weights(settings)
    draws = Draws(settings.seed, int(settings.heldout), settings.index, 0)
    first = draws.choice(list(weights)) if len(set(weights.values())) == 1 else draws.weighted(weights)
    if attempt < ATTEMPTS_A_TYPE:
        return first
    others = draws.shuffled([task_type for task_type in weights if task_type != first])
    return [first, *others][attempt // ATTEMPTS_A_TYPE]


def _game(
    settings: GeneratorSettings, draws: Draws, floor_plan: str, house: House, task_type: str, thing: str, target: str
) -> Game:
    look = task_type == "look_at_obj_in_light"
    params: dict[str, object] = {
        "mrecep_target": "",
        "object_sliced": False,
        "object_target": thing,
        "parent_target": "" if look else target,
        "toggle_target": target if look else "",
    }
    _, sentences = package_data.goal_template(task_type)
    words = {"obj": thing.lower(), "recep": target.lower(), "toggle": target.lower()}
    sentence = draws.choice(sentences).format(**words)
    domain, grammar = package_data.game_logic(settings.dialect)
    split = "unseen" if settings.heldout else "train"
    problem = write_problem(f"plan_{split}_{settings.seed}_{settings.index}", house, task_type, params)
    return Game(
        name=str(settings),
        pddl_domain=domain,
        grammar=grammar.replace("UNKNOWN GOAL", sentence),
        pddl_problem=problem,
        task_type=task_type,
        params=params,
        floor_plan=floor_plan,
    )


def _draw_house(
    draws: Draws, plan: FloorPlan, task_type: str, thing: str, target: str, settings: GeneratorSettings
) -> House:
    """A house in which the task can be done and is not done yet."""
    look = task_type == "look_at_obj_in_light"
    furniture = sorted({receptacle.kind for receptacle in plan.receptacles})
    starts = places_for(thing, furniture)
    starts.pop(target, None)
    lamp_at = draws.weighted(places_for("DeskLamp", furniture)) if look else ""
    appliance = APPLIANCE.get(task_type, ("", ""))[1]
    needed = [lamp_at if look else target, draws.weighted(starts), *([appliance] if appliance else [])]
    receptacles = _draw_furniture(draws, plan, needed, settings.max_receptacles)

    furniture = [receptacle.kind for receptacle in receptacles]
    copies = max(draws.weighted(_COPIES), 2 if task_type == "pick_two_obj_and_place" else 1)
    if settings.max_objects is not None:
        copies = min(copies, settings.max_objects - (1 if look else 0))
    if settings.distractors is not None:
        copies = 2 if task_type == "pick_two_obj_and_place" else 1
    kinds = _draw_kinds(draws, plan, furniture, [thing] * copies + (["DeskLamp"] if look else []), settings)

    things: list[Thing] = []
    taken: set[str] = set()
    for kind in kinds:
        places = {lamp_at: 1} if look and kind == "DeskLamp" else places_for(kind, furniture)
        if kind == thing:
            places.pop(target, None)  # What the task asks for never starts where it is to go.
        place = draws.weighted(places)
        index = draws.choice([index for index, name in enumerate(furniture) if name == place])
        things.append(Thing(near(draws, kind, receptacles[index].id, taken), kind, index))
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
        kept.append(by_kind[draws.choice([kind for kind, receptacles in by_kind.items() if receptacles])].pop())
    return sorted(kept, key=lambda receptacle: receptacle.id)


def _draw_kinds(
    draws: Draws, plan: FloorPlan, furniture: Sequence[str], needed: list[str], settings: GeneratorSettings
) -> list[str]:
    """The object kinds of a house, one entry for each object: those needed, then others that have a place in it."""
    others = [kind for kind in plan.objects if kind not in needed and places_for(kind, furniture)]
    copies = [kind for kind in others for _ in range(1 if kind in FIXTURES else draws.weighted(_COPIES))]
    if settings.distractors is not None:
        return needed + exactly(draws, settings.distractors, copies)
    room = _size(draws, len(needed) + len(copies), settings.max_objects) - len(needed)
    return needed + draws.shuffled(copies)[: max(0, room)]


def _size(draws: Draws, available: int, limit: int | None) -> int:
    """Draw how many: all there is without a limit, else mostly near the limit."""
    if limit is None:
        return available
    most = min(available, limit)
    return draws.between(max(1, (3 * most + 2) // 4), most)
