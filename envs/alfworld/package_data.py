"""What the installed alfworld package knows: floor plans, object tables, task templates, domain and grammar.

Nothing here imports alfworld: that would create folders and set ALFWORLD_DATA. Its data files are read, and its two
modules of plain tables (gen/constants.py, gen/goal_library.py) are executed on their own, once per process.
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType

from oreo.errors import DataError, MissingExtra, UsageError, did_you_mean

# Floor plans that generated training games never use. The first three of each room are those that ALFRED keeps for its
# unseen splits, so playing generated train games shows nothing of valid_unseen either.
_HELD_OUT = {
    "Kitchen": (9, 10, 29, 3, 13, 23),
    "LivingRoom": (215, 219, 226, 205, 210, 230),
    "Bedroom": (308, 315, 325, 303, 313, 323),
    "Bathroom": (404, 424, 425, 403, 413, 423),
}
ROOMS = {"Kitchen": 0, "LivingRoom": 200, "Bedroom": 300, "Bathroom": 400}
"""Room → number before its first floor plan; each room has 30."""


@dataclass(frozen=True)
class Receptacle:
    """A piece of furniture that holds things."""

    id: str
    """As ALFRED names it: kind|x|y|z in metres, e.g. `Cabinet|+00.68|+00.50|-02.20`."""
    kind: str
    """Like Cabinet, SinkBasin."""
    spot: tuple[int, int, int, int]
    """Where the agent stands before it: x, z in quarters of a metre, rotation in quarter turns, horizon in degrees."""
    listed: bool = True
    """Whether alfworld knows where it is. In the real rooms no other furniture opens."""


@dataclass(frozen=True)
class FloorPlan:
    """One room with all its furniture and the kinds of objects that may be in it."""

    name: str
    room: str
    receptacles: tuple[Receptacle, ...]
    objects: tuple[str, ...]
    points: tuple[tuple[int, int], ...]
    """Where the agent can stand: x and z in quarters of a metre."""


@cache
def package_folder() -> Path:
    """The folder of the installed alfworld package. Raises MissingExtra without one."""
    spec = importlib.util.find_spec("alfworld")
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("the package alfworld is not installed; run: pip install alfworld")
    return Path(next(iter(spec.submodule_search_locations)))


@cache
def _tables(name: str) -> ModuleType:
    """Return gen/<name>.py of alfworld as a module outside sys.modules."""
    path = package_folder() / "gen" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"_alfworld_{name}", path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise DataError(f"{path} is missing: reinstall alfworld")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def receptacle_kinds() -> tuple[str, ...]:
    """All kinds of furniture, sorted (alfworld's RECEPTACLES without those that can be carried)."""
    tables = _tables("constants")
    return tuple(sorted(set(tables.RECEPTACLES) - set(tables.MOVABLE_RECEPTACLES)))


@cache
def object_kinds() -> tuple[str, ...]:
    """All kinds of objects, sorted: what ALFRED's problems declare as otype."""
    return tuple(sorted(_tables("constants").NON_RECEPTACLES_SET))


@cache
def holds(receptacle: str) -> frozenset[str]:
    """The object kinds that may be put into a receptacle kind."""
    return frozenset(_tables("constants").VAL_RECEPTACLE_OBJECTS.get(receptacle, ()))


@cache
def able(ability: str) -> frozenset[str]:
    """The kinds that are Heatable, Coolable, Cleanable, Toggleable, Sliceable, Openable, or Movable (as a bowl is)."""
    tables = _tables("constants")
    if ability == "Openable":
        return frozenset(tables.OPENABLE_CLASS_LIST)
    if ability == "Movable":
        return frozenset(tables.MOVABLE_RECEPTACLES)
    return frozenset(tables.VAL_ACTION_OBJECTS[ability])


@cache
def rooms_for(task_type: str) -> tuple[str, ...]:
    """The rooms in which ALFRED poses tasks of this type, sorted."""
    return tuple(sorted(_tables("constants").GOALS_VALID[task_type]))


@cache
def goal_template(task_type: str) -> tuple[str, tuple[str, ...]]:
    """The goal in PDDL, to the end of the problem, and the task sentences; with slots {obj}, {recep}, {toggle}."""
    entry = _tables("goal_library").gdict[task_type]
    return entry["pddl"].replace("#", "-"), tuple(entry["templates"])


def room_of(floor_plan: str) -> str:
    """FloorPlan212 → LivingRoom; empty for one that is none of ALFRED's 120."""
    number = floor_plan.removeprefix("FloorPlan")
    if number.isdecimal():
        for room, first in ROOMS.items():
            if first < int(number) <= first + 30:
                return room
    return ""


def check_floor_plan(name: object) -> str:
    """The full name of a room or a floor plan: "kitchen" → Kitchen, "floorplan12" or 12 → FloorPlan12.

    Raises UsageError for anything else.
    """
    rooms = {room.lower(): room for room in ROOMS}
    word = "" if isinstance(name, bool) else str(name).strip().lower()
    if word in rooms:
        return rooms[word]
    number = word.removeprefix("floorplan")
    if number.isdecimal() and room_of(floor_plan := f"FloorPlan{int(number)}"):
        return floor_plan
    numbers = ", ".join(f"{first + 1} to {first + 30}" for first in ROOMS.values())
    near = did_you_mean(word[:1].upper() + word[1:], ROOMS)
    raise UsageError(f"unknown floor plan {name!r}: {near}, or one like FloorPlan12 ({numbers})")


def floor_plans(room: str, heldout: bool) -> tuple[str, ...]:
    """Names of a room's floor plans: 24 to train in, 6 held out."""
    first = ROOMS[room]
    numbers = range(first + 1, first + 31)
    return tuple(f"FloorPlan{number}" for number in numbers if (number in _HELD_OUT[room]) == heldout)


@cache
def floor_plan(name: str) -> FloorPlan:
    """Read one floor plan. Raises DataError when alfworld has none of that name or it cannot be read."""
    import numpy as np

    folder = package_folder() / "gen" / "layouts"
    try:
        positions = json.loads((folder / f"{name}-openable.json").read_text(encoding="utf-8"))
        objects = json.loads((folder / f"{name}-objects.json").read_text(encoding="utf-8"))
        reachable = np.load(folder / f"{name}-layout.npy", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"alfworld's floor plan {name} cannot be read: {error}") from error
    room = room_of(name)
    points = tuple(sorted({(round(x * 4), round(z * 4)) for x, z in reachable.tolist()}))
    receptacles = [_receptacle(key, place) for key, place in sorted(positions.items())]
    placed = {receptacle.kind for receptacle in receptacles}
    missing = sorted((set(objects) & set(receptacle_kinds())) - placed)
    names = [kind for kind in missing for _ in range(4 if kind == "StoveBurner" else 1)]
    receptacles += [
        _furnish(kind, points[(i + 1) * len(points) // (len(names) + 1) - 1]) for i, kind in enumerate(names)
    ]
    return FloorPlan(name, room, tuple(receptacles), tuple(sorted(objects)), points)


def _receptacle(key: str, place: list[float]) -> Receptacle:
    """Read a receptacle. `place`: x and z in metres, rotation and horizon in degrees."""
    parts = key.split("|")
    if len(parts) == 5:  # Sink|x|y|z|SinkBasin. Plan 420's bathtub calls its basin a SinkBasin, against its own name.
        parts[4] = f"{parts[0]}Basin"
    x, z, rotation, horizon = place
    return Receptacle("|".join(parts), parts[-1] if len(parts) == 5 else parts[0], _spot(x, z, rotation, horizon))


def _spot(x: float, z: float, rotation: float, horizon: float) -> tuple[int, int, int, int]:
    return round(x * 4), round(z * 4), round(rotation / 90) % 4, round(horizon)


def _furnish(kind: str, point: tuple[int, int]) -> Receptacle:
    """Furniture that the layout names without a position (stove burners, toasters, bins): beside a reachable point."""
    x, z = point
    where = f"{x / 4:+06.2f}|+00.90|{z / 4 + 0.5:+06.2f}"
    key = f"{kind.removesuffix('Basin')}|{where}|{kind}" if kind.endswith("Basin") else f"{kind}|{where}"
    return Receptacle(key, kind, (x, z, 0, 45), listed=False)


@cache
def game_logic(dialect: str) -> tuple[str, str]:
    """Domain and grammar of a dialect; the grammar's task sentence is "Your task is to: UNKNOWN GOAL."

    alfworld ships the newer dialect, "move". "put" is what its data spoke before version 0.4: it differs in the words
    for putting down and arriving, in a sink counting as a place to clean, and in having no help command.
    """
    folder = package_folder() / "data"
    try:
        domain = (folder / "alfred.pddl").read_text(encoding="utf-8")
        grammar = (folder / "alfred.twl2").read_text(encoding="utf-8")
    except OSError as error:
        raise DataError(f"alfworld's game logic cannot be read: {error}") from error
    if dialect == "move":
        return domain, grammar
    if dialect != "put":
        raise UsageError(f"unknown dialect {dialect!r}: choose from put, move")
    domain = _swap(domain, ";(receptacleType ?r SinkType)", "(receptacleType ?r SinkType)")
    domain = _without(domain, "(:action help", "\n)\n")
    grammar = _swap(grammar, "You arrive at {r.name}.", "You arrive at {lend.name}.")
    grammar = _swap(grammar, "You move the {o.name} to the {r.name}.", "You put the {o.name} in/on the {r.name}.")
    grammar = _swap(grammar, '"move {o} to {r}"', '"put {o} in/on {r}"')
    return domain, _without(grammar, "action help {", "\n}\n")


def _swap(text: str, old: str, new: str) -> str:
    if old not in text:
        raise DataError(f"this alfworld's game logic has no {old!r}: the dialect 'put' cannot be derived, use 'move'")
    return text.replace(old, new)


def _without(text: str, start: str, end: str) -> str:
    """`text` without the block from `start` to `end` and the blank line before it."""
    before, separator, following = text.partition(start)
    if not separator or end not in following:
        raise DataError(f"this alfworld's game logic has no {start!r}: the dialect 'put' cannot be derived, use 'move'")
    return before.removesuffix("\n") + following.partition(end)[2]
