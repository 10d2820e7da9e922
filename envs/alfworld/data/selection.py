"""Which games of a split are wanted: by task type, by floor plan or room, by the object that the task is about."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from oreo.envs.alfworld.data.entry import Entry
from oreo.envs.alfworld.game import TASK_TYPES
from oreo.envs.alfworld.package_data import ROOMS, check_floor_plan, room_of
from oreo.errors import DataError, UsageError, did_you_mean

FloorPlans = str | int | Sequence[str | int]
"""One or several of: a room (Kitchen), a floor plan (FloorPlan12), its number (12)."""


def check_task_types(task_types: str | Sequence[str] | None) -> tuple[str, ...]:
    """Task types as a tuple; None means all of them.

    Raises:
        UsageError: an unknown one, or none at all.
    """
    if task_types is None:
        return TASK_TYPES
    chosen = (task_types,) if isinstance(task_types, str) else tuple(task_types)
    for task_type in chosen:
        if task_type not in TASK_TYPES:
            raise UsageError(f"unknown task type {task_type!r}: {did_you_mean(str(task_type), TASK_TYPES)}")
    if not chosen:
        raise UsageError(f"task_types is empty: {did_you_mean('', TASK_TYPES)}")
    return chosen


def split_task_types(split: str) -> tuple[str, tuple[str, ...]]:
    """A split's name as (the split, its task types), for studies of task types that training never sees.

    `train_without_pick_two_obj_and_place` are the games of train of the five other types, and
    `valid_seen_only_pick_two_obj_and_place` those of valid_seen of this one.

    Raises:
        UsageError: an unknown task type.
    """
    if not isinstance(split, str):
        return split, TASK_TYPES
    for word, held_out in (("_without_", True), ("_only_", False)):
        base, mark, task_type = split.partition(word)
        if mark:
            (named,) = check_task_types(task_type)
            return base, without_task_types(TASK_TYPES, named) if held_out else (named,)
    return split, TASK_TYPES


def without_task_types(task_types: Sequence[str], held_out: str | Sequence[str] | None) -> tuple[str, ...]:
    """The task types but for those that are held out.

    Raises:
        UsageError: an unknown one, or none is left.
    """
    taken = () if held_out is None else check_task_types(held_out)
    remaining = tuple(task_type for task_type in task_types if task_type not in taken)
    if not remaining:
        raise UsageError(
            f"no task type is left: task_types, the split and except_task_types={held_out!r} exclude each other; "
            f"{did_you_mean('', TASK_TYPES)}"
        )
    return remaining


def check_floor_plans(floor_plans: FloorPlans | None) -> tuple[str, ...] | None:
    """Rooms and floor plans by their full names, each once: `["kitchen", 301]` -> ("Kitchen", "FloorPlan301").

    Raises:
        UsageError: an unknown one, or none at all.
    """
    if floor_plans is None:
        return None
    chosen = (floor_plans,) if isinstance(floor_plans, str | int) else tuple(floor_plans)
    if not chosen:
        raise UsageError(f"floor_plans is empty: {did_you_mean('', ROOMS)}, or one like FloorPlan12")
    return tuple(dict.fromkeys(map(check_floor_plan, chosen)))


def check_objects(objects: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Kinds of objects as a tuple, each once, in the case they came in. Which kinds there are, the games say.

    Raises:
        UsageError: something that is no name, or none at all.
    """
    if objects is None:
        return None
    chosen = (objects,) if isinstance(objects, str) else tuple(objects)
    for kind in chosen:
        if not isinstance(kind, str) or not kind:
            raise UsageError(f"objects: {kind!r} is no kind of object; expected one like Mug")
    if not chosen:
        raise UsageError("objects is empty: name a kind like Mug, or leave it out for all")
    return tuple(dict.fromkeys(chosen))


def select(
    entries: Sequence[Entry],
    where: str,
    *,
    task_types: Sequence[str] = TASK_TYPES,
    floor_plans: Sequence[str] | None = None,
    objects: Sequence[str] | None = None,
) -> list[Entry]:
    """Return those of `entries` that fit, in their order. The arguments come out of the functions above.

    Args:
        where: what holds the entries, for messages.
    Raises:
        UsageError: a kind of object that none of the entries is about.
        DataError: nothing is left.
    """
    if tuple(task_types) == TASK_TYPES and floor_plans is None and objects is None:
        return list(entries)
    kinds = None if objects is None else _kinds(objects, {entry.object for entry in entries} - {""}, where)
    kept = [
        entry
        for entry in entries
        if entry.task_type in task_types
        and (floor_plans is None or entry.floor_plan in floor_plans or room_of(entry.floor_plan) in floor_plans)
        and (kinds is None or entry.object in kinds)
    ]
    if not kept:
        wanted = [
            f"of type {', '.join(task_types)}" if tuple(task_types) != TASK_TYPES else "",
            f"in {', '.join(floor_plans)}" if floor_plans is not None else "",
            f"about {', '.join(kinds)}" if kinds is not None else "",
        ]
        raise DataError(f"{where}: none of its {len(entries)} games is {' and '.join(filter(None, wanted))}")
    return kept


def _kinds(objects: Sequence[str], all_kinds: Iterable[str], where: str) -> tuple[str, ...]:
    """The kinds as the games spell them."""
    spelled = {kind.lower(): kind for kind in sorted(all_kinds)}
    for kind in objects:
        if kind.lower() not in spelled:
            hint = did_you_mean(_like_a_name(kind), spelled.values()) if spelled else "its games name no objects"
            raise UsageError(f"{where}: no game is about the object {kind!r}; {hint}")
    return tuple(dict.fromkeys(spelled[kind.lower()] for kind in objects))


def _like_a_name(word: str) -> str:
    """Give it a capital, as rooms and objects have: near names are looked for letter by letter."""
    return word[:1].upper() + word[1:]
