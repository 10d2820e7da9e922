"""What a generated game depends on, and the name that says it all."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Any

from oreo.envs.alfworld.game import DIALECTS, TASK_TYPES
from oreo.envs.alfworld.package_data import ROOMS, check_floor_plan, room_of
from oreo.envs.alfworld.placement import FIXTURES, PLACES
from oreo.errors import UsageError, did_you_mean

MIN_RECEPTACLES = 3
"""A place to find the object, an appliance, a place to bring it to."""
MIN_OBJECTS = 3
TASK_MIXES = ("even", "real")
KINDS = tuple(sorted(set(PLACES) - set(FIXTURES)))
"""The kinds of objects that a task can ask for."""

REALISTIC: dict[str, Any] = {"max_receptacles": None, "max_objects": None, "task_mix": "real"}
"""The settings for games as in ALFWorld's train split: `generate_game(0, **REALISTIC)`."""


@dataclass(frozen=True)
class GeneratorSettings:
    """Everything a generated game depends on; `str` of it is the game's name.

    One name will do where a tuple is wanted, and any case and order: what means the same is equal.
    """

    seed: int = 0
    """Which series."""
    index: int = 0
    """Which game of the series."""
    heldout: bool = False
    """From the held-out floor plans (6 of each room) instead of those for training (24 of each)."""
    dialect: str = "put"
    """"put" or "move"."""
    task_types: tuple[str, ...] = TASK_TYPES
    """Types of tasks to draw from; None for all six."""
    max_receptacles: int | None = 8
    """How large a house may be; None for all that the floor plan holds."""
    max_objects: int | None = 14
    """How many objects may be in it. None for both limits: houses furnished as the real ones are."""
    floor_plans: tuple[str, ...] | None = None
    """Floor plans to draw from ("FloorPlan12", 12), or rooms ("Kitchen"); None for all."""
    objects: tuple[str, ...] | None = None
    """Kinds of objects for the task to ask for ("Mug"); None for all."""
    distractors: int | None = None
    """Exactly how many objects of other kinds there are, and no more of the kind asked for than the task needs. None:
    as it comes, spare objects of that kind included. (The lamp of a look task is needed: it is none of them.)"""
    expert_steps: tuple[int, int] | None = None
    """How far the goal is: the explorer needs at least and at most this many steps to win."""
    task_mix: str = "even"
    """"even": each type as often as the others; "real": as often as in ALFWorld's train split."""

    def __post_init__(self) -> None:
        if not isinstance(self.heldout, bool):
            raise UsageError(f"heldout={self.heldout!r}: expected True or False")
        _check_number("seed", self.seed, 0, " of a generated game")
        _check_number("index", self.index, 0, " of a generated game")
        _check_choice("dialect", self.dialect, DIALECTS)
        _check_choice("task mix", self.task_mix, TASK_MIXES)
        for name, least in (("max_receptacles", MIN_RECEPTACLES), ("max_objects", MIN_OBJECTS), ("distractors", 0)):
            if getattr(self, name) is not None:
                _check_number(name, getattr(self, name), least, end=", or None for no limit")
        if self.distractors is not None and self.max_objects is not None and self.distractors + 2 > self.max_objects:
            raise UsageError(
                f"distractors={self.distractors} with max_objects={self.max_objects}: the task needs up to 2 objects "
                f"itself; raise max_objects to {self.distractors + 2}"
            )
        task_types = TASK_TYPES if self.task_types is None else self.task_types
        self._set("task_types", _names("task_types", task_types, _task_type, TASK_TYPES))
        if self.floor_plans is not None:
            plans = _names("floor_plans", self.floor_plans, check_floor_plan, _ALL_PLANS)
            self._set("floor_plans", tuple(plan for plan in plans if plan in ROOMS or room_of(plan) not in plans))
        if self.objects is not None:
            self._set("objects", _names("objects", self.objects, _object_kind, KINDS))
        if self.expert_steps is not None:
            self._set("expert_steps", _span(self.expert_steps))

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)  # the way into a frozen dataclass, from its own __post_init__

    def __str__(self) -> str:
        split = "generated_unseen" if self.heldout else "generated"
        parts = [self.dialect, *("all" if size is None else str(size) for size in self._sizes())]
        if self.task_types != TASK_TYPES:
            parts.append("+".join(self.task_types))
        if self.floor_plans is not None:
            parts.append("plans=" + "+".join(plan.removeprefix("FloorPlan") for plan in self.floor_plans))
        if self.objects is not None:
            parts.append("objects=" + "+".join(self.objects))
        if self.distractors is not None:
            parts.append(f"distractors={self.distractors}")
        if self.expert_steps is not None:
            parts.append("steps={}+{}".format(*self.expert_steps))
        if self.task_mix != "even":
            parts.append(f"mix={self.task_mix}")
        return f"{split}/{self.seed}/{self.index}/{'-'.join(parts)}"

    def _sizes(self) -> tuple[int | None, int | None]:
        return self.max_receptacles, self.max_objects

    @property
    def unlimited(self) -> bool:
        """Whether the house is to be as the real ones are."""
        return self._sizes() == (None, None)


def make_settings(settings: dict[str, Any], caller: str) -> GeneratorSettings:
    """GeneratorSettings from keyword arguments of `caller`. Raises UsageError, for unknown names too."""
    names = [field.name for field in fields(GeneratorSettings)]
    for name in settings:
        if name not in names:
            raise UsageError(f"unknown argument {name!r} of {caller}: {did_you_mean(name, names)}")
    return GeneratorSettings(**settings)


def is_generated(name: str) -> bool:
    """Return whether a game's name is one of the generator's, rather than a path below ALFWORLD_DATA."""
    return name.partition("/")[0] in ("generated", "generated_unseen")


def parse_name(name: str) -> GeneratorSettings:
    """The settings a name stands for. Raises UsageError where it is no name of a generated game."""
    try:
        split, seed, index, suffix = name.split("/")
        dialect, receptacles, objects, *narrowed = suffix.split("-")
        settings = GeneratorSettings(
            seed=int(seed),
            index=int(index),
            heldout={"generated": False, "generated_unseen": True}[split],
            dialect=dialect,
            max_receptacles=None if receptacles == "all" else int(receptacles),
            max_objects=None if objects == "all" else int(objects),
            **dict(_read_part(part) for part in narrowed),
        )
    except (ValueError, KeyError) as error:
        why = f" ({error})" if isinstance(error, UsageError) else ""
        raise UsageError(f"{name!r} is no generated game{why}; a name looks like {GeneratorSettings()}") from None
    if str(settings) != name:
        raise UsageError(f"{name!r} is no generated game; did you mean {str(settings)!r}?")
    return settings


def _words(value: str) -> list[str]:
    return value.split("+")


def _numbers(value: str) -> list[int]:
    return [int(word) for word in value.split("+")]


# What a name calls a setting → the setting, how to read its value.
_PARTS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "plans": ("floor_plans", _words),
    "objects": ("objects", _words),
    "distractors": ("distractors", int),
    "steps": ("expert_steps", _numbers),
    "mix": ("task_mix", str),
}


def _read_part(part: str) -> tuple[str, Any]:
    """A part of a name after the sizes: the setting and its value."""
    key, equals, value = part.partition("=")
    if not equals:
        return "task_types", _words(part)
    setting, read = _PARTS[key]
    return setting, read(value)


_ALL_PLANS = (*ROOMS, *(f"FloorPlan{first + i}" for first in ROOMS.values() for i in range(1, 31)))


def _names(what: str, names: Any, read: Callable[[object], str], order: Sequence[str]) -> tuple[str, ...]:
    """Return what was given, one or several, as a tuple in the order of `order`, without repetitions."""
    several = isinstance(names, Iterable) and not isinstance(names, str)
    chosen = {read(value) for value in (names if several else (names,))}
    if not chosen:
        some = ", ".join(order[:6]) + (", …" if len(order) > 6 else "")
        raise UsageError(f"{what} is empty: choose from {some}, or None for all")
    return tuple(name for name in order if name in chosen)


def _task_type(name: object) -> str:
    _check_choice("task type", name, TASK_TYPES)
    return str(name)


def _object_kind(name: object) -> str:
    kinds = {kind.lower(): kind for kind in KINDS}
    word = str(name).strip().lower()
    if word not in kinds:
        raise UsageError(f"unknown object {name!r}: {did_you_mean(word, kinds)}")
    return kinds[word]


def _span(steps: Any) -> tuple[int, int]:
    numbers = tuple(steps) if isinstance(steps, Sequence) else ()
    whole = all(isinstance(number, int) and not isinstance(number, bool) for number in numbers)
    if len(numbers) != 2 or not whole or not 1 <= numbers[0] <= numbers[1]:
        raise UsageError(f"expert_steps={steps!r}: expected the fewest and the most steps, such as (10, 20)")
    return numbers


def _check_number(name: str, value: object, least: int, of: str = "", end: str = "") -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise UsageError(f"{name}={value!r}{of}: expected a whole number, {least} or more{end}")


def _check_choice(what: str, value: object, choices: Sequence[str]) -> None:
    if value not in choices:
        raise UsageError(f"unknown {what} {value!r}: {did_you_mean(str(value), choices)}")
