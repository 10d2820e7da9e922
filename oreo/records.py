"""Checks that records of settings share: types as their fields are annotated, numbers in their ranges."""

from __future__ import annotations

import dataclasses
import math
import sys
from collections.abc import Mapping
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

from oreo.errors import UsageError

ABOVE_0 = math.ulp(0.0)
"""The least number above 0, for ranges without it."""
_EXPECTED: dict[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a finite number",
    str: "text (what looks like a number, in double quotes)",
}


def check_types(record: Any) -> None:
    """Raises UsageError where a field that a dataclass is made with does not hold what its annotation says."""
    names = [field.name for field in dataclasses.fields(record) if field.init]
    check_values(type(record), {name: getattr(record, name) for name in names})


def check_values(record: type, values: Mapping[str, Any]) -> None:
    """Raises UsageError where a value is not what the field of this name is annotated with."""
    kinds = get_type_hints(record)
    for name, value in values.items():
        if not _fits(value, kinds[name]):
            raise UsageError(f"{name} is {value!r}; expected {_expected(kinds[name])}")


def check_ranges(record: Any, ranges: Mapping[str, tuple[float, float]]) -> None:
    """Raises UsageError where a number is below the least or above the most that its field may be; None is neither."""
    for name, (least, most) in ranges.items():
        number = getattr(record, name)
        if number is not None and not least <= number <= most:
            raise UsageError(f"{name} is {number}; expected {_between(least, most)}")


def _between(least: float, most: float) -> str:
    if least == ABOVE_0:
        return "a number above 0" + ("" if most == math.inf else f" and at most {most}")
    return f"{least} or more" if most == math.inf else f"a number from {least} to {most}"


def _fits(value: Any, kind: Any) -> bool:
    """Whether a value is of a type: a union, a tuple (for which JSON has lists), a mapping with names, or a plain one.

    Numbers are finite, a whole one is a float as well, and a boolean is no number.
    """
    parts = get_args(kind)
    if isinstance(kind, UnionType):
        return any(_fits(value, part) for part in parts)
    if get_origin(kind) is tuple:
        if not isinstance(value, list | tuple):
            return False
        same = parts[-1] is Ellipsis
        return (same or len(value) == len(parts)) and all(_fits(item, parts[0]) for item in value)
    if get_origin(kind) is Mapping:
        return isinstance(value, Mapping) and all(isinstance(key, str) for key in value)
    if isinstance(value, bool):
        return kind is bool
    if kind is float:
        return isinstance(value, int | float) and abs(value) <= sys.float_info.max
    return isinstance(value, kind)


def _expected(kind: Any) -> str:
    if isinstance(kind, UnionType):
        return " or ".join(_expected(part) for part in get_args(kind) if part is not NoneType)
    parts = get_args(kind)
    if get_origin(kind) is tuple:
        return f"a list, each {_expected(parts[0])}" if parts[-1] is Ellipsis else f"a list of {len(parts)} numbers"
    if get_origin(kind) is Mapping:
        return 'arguments by name, such as {"tensor_parallel_size": 2}'
    return _EXPECTED.get(kind) or f"a {kind.__name__}"
