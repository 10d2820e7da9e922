"""What an environment's `state()` says of the world, as lines, and which of them a step has changed. Pure functions.

A state of any shape is shown name by name; one of places with things in them (ALFWorld's) as a list of places.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from oreo.text import one_line

_MOST_LINES = 2_000
_MOST_NESTED = 6


@dataclass(frozen=True)
class Fact:
    """A line about the world."""

    name: str
    text: str
    changed: bool = False
    """Whether it was otherwise before the step."""

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"


def facts(state: Any, before: Any = None) -> list[Fact]:
    """The world as lines.

    Args:
        state: what `state()` gave, of JSON types.
        before: the same before the step; None: nothing is marked as changed.
    """
    earlier = None if before is None else dict(_lines(before))
    return [
        Fact(name, text, earlier is not None and earlier.get(name) != text)
        for (name, text), _ in zip(_lines(state), range(_MOST_LINES), strict=False)
    ]


def _lines(state: Any) -> Iterator[tuple[str, str]]:
    return _places(state) if _has_places(state) else _any("", state, 0)


def _has_places(state: Any) -> bool:
    if not isinstance(state, Mapping):
        return False
    places, objects = state.get("receptacles"), state.get("objects")
    return (
        isinstance(places, Mapping)
        and isinstance(objects, Mapping)
        and all(isinstance(place, Mapping) and isinstance(place.get("contents"), list) for place in places.values())
        and all(isinstance(marks, Mapping) for marks in objects.values())
    )


def _places(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Where one is and what one holds, then places with things in them, then those without."""
    objects = state["objects"]

    def named(thing: Any) -> str:
        marks = [str(mark) for mark, holds in objects.get(thing, {}).items() if holds]
        return one_line(f"{thing} ({', '.join(marks)})" if marks else str(thing))

    facing = state.get("facing") or []
    yield "at", ", ".join(map(one_line, map(str, facing))) or one_line(str(state.get("location", "")))
    yield "holding", "nothing" if state.get("holding") is None else named(state["holding"])
    empty = []
    for name, place in state["receptacles"].items():
        opened = place.get("open")
        door = "" if opened is None else "open, " if opened else "closed, "
        things = ", ".join(map(named, place["contents"]))
        if place["contents"]:
            yield one_line(str(name)), door + things
        else:
            empty.append((one_line(str(name)), f"{door}empty"))
    yield from empty


def _any(name: str, value: Any, nested: int) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping) and value and nested < _MOST_NESTED:
        for key, item in value.items():
            yield from _any(f"{name} {key}".strip(), item, nested + 1)
    elif isinstance(value, list) and value and all(isinstance(item, str | int | float | bool) for item in value):
        yield one_line(name), one_line(", ".join(map(str, value)))
    elif isinstance(value, list) and value and nested < _MOST_NESTED:
        for at, item in enumerate(value):
            yield from _any(f"{name} {at}".strip(), item, nested + 1)
    else:
        yield one_line(name), one_line("nothing" if value in (None, [], {}) else str(value))
