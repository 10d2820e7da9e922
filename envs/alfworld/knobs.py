"""What a generated game depends on, and the name that says it all."""

from __future__ import annotations

from dataclasses import dataclass

from oreo.envs.alfworld.game import TASK_TYPES
from oreo.errors import UsageError, did_you_mean

MIN_RECEPTACLES = 3
"""A place to find the object, an appliance, a place to bring it to."""
MIN_OBJECTS = 3


@dataclass(frozen=True)
class Knobs:
    """Everything a generated game depends on; `str` of it is the game's name."""

    seed: int = 0
    index: int = 0
    heldout: bool = False
    dialect: str = "put"
    task_types: tuple[str, ...] = TASK_TYPES
    max_receptacles: int | None = 8
    max_objects: int | None = 14

    def __post_init__(self) -> None:
        if not isinstance(self.heldout, bool):
            raise UsageError(f"heldout={self.heldout!r}: expected True or False")
        for name in ("seed", "index"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 0:
                raise UsageError(f"{name}={value!r} of a generated game: expected a whole number, 0 or more")
        if self.dialect not in ("put", "move"):
            raise UsageError(f"unknown dialect {self.dialect!r}: {did_you_mean(str(self.dialect), ('put', 'move'))}")
        for name, least in (("max_receptacles", MIN_RECEPTACLES), ("max_objects", MIN_OBJECTS)):
            value = getattr(self, name)
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < least):
                raise UsageError(f"{name}={value!r}: expected a whole number, {least} or more, or None for no limit")
        if not self.task_types:
            raise UsageError(f"task_types is empty: choose from {', '.join(TASK_TYPES)}")
        for task_type in self.task_types:
            if task_type not in TASK_TYPES:
                raise UsageError(f"unknown task type {task_type!r}: {did_you_mean(str(task_type), TASK_TYPES)}")

    def __str__(self) -> str:
        split = "generated_unseen" if self.heldout else "generated"
        size = "-".join("all" if value is None else str(value) for value in (self.max_receptacles, self.max_objects))
        tasks = "" if self.task_types == TASK_TYPES else "-" + "+".join(self.task_types)
        return f"{split}/{self.seed}/{self.index}/{self.dialect}-{size}{tasks}"


def is_generated(name: str) -> bool:
    """Whether a game's name is one of the generator's, rather than a path below ALFWORLD_DATA."""
    return name.partition("/")[0] in ("generated", "generated_unseen")


def parse_name(name: str) -> Knobs:
    """The knobs a name stands for. Raises UsageError where it is no name of a generated game."""
    try:
        split, seed, index, rest = name.split("/")
        dialect, receptacles, objects, *tasks = rest.split("-", 3)
        knobs = Knobs(
            seed=int(seed),
            index=int(index),
            heldout={"generated": False, "generated_unseen": True}[split],
            dialect=dialect,
            task_types=tuple(tasks[0].split("+")) if tasks else TASK_TYPES,
            max_receptacles=None if receptacles == "all" else int(receptacles),
            max_objects=None if objects == "all" else int(objects),
        )
    except (ValueError, KeyError) as error:
        why = f" ({error})" if isinstance(error, UsageError) else ""
        raise UsageError(f"{name!r} is no generated game{why}; a name looks like {Knobs()}") from None
    if str(knobs) != name:
        raise UsageError(f"{name!r} is no generated game; did you mean {str(knobs)!r}?")
    return knobs
