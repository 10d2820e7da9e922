"""oreo.records: each value is of the type that its field is annotated with, and in its range."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from oreo.errors import UsageError
from oreo.records import ABOVE_0, check_ranges, check_types, check_values


@dataclass
class Record:
    flag: bool = False
    count: int = 0
    share: float = 0.0
    name: str | None = None
    pair: tuple[float, float] = (0.0, 1.0)
    names: tuple[str, ...] = ()
    arguments: Mapping[str, Any] | None = None
    made: int = field(init=False)
    """Not there before it is made, so nobody can have given it a wrong type."""


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"flag": True, "count": -3, "share": 2, "name": "x", "pair": [0, 1.5], "names": ["a", "b"]},
        {"share": 1.7976931348623157e308, "arguments": {"a": object()}, "names": []},
    ],
)
def test_what_fits_passes(fields: dict[str, Any]) -> None:
    check_types(Record(**fields))


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"flag": 1}, "flag is 1; expected true or false"),
        ({"count": True}, "count is True; expected a whole number"),
        ({"count": 1.0}, "count is 1.0; expected a whole number"),
        ({"share": float("inf")}, "share is inf; expected a finite number"),
        ({"share": 10**400}, "expected a finite number"),
        ({"share": False}, "share is False; expected a finite number"),
        ({"name": 3}, "name is 3; expected text"),
        ({"pair": (0.5,)}, r"pair is \(0.5,\); expected a list of 2 numbers"),
        ({"pair": (0.5, float("nan"))}, "expected a list of 2 numbers"),
        ({"names": "ab"}, "names is 'ab'; expected a list, each text"),
        ({"names": ("a", 1)}, "expected a list, each text"),
        ({"arguments": {1: 2}}, "expected arguments by name"),
    ],
)
def test_what_does_not_fit_is_named_with_what_is_expected(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as error:
        check_types(Record(**fields))
    assert "\n" not in str(error.value)


def test_single_values_are_checked_against_the_fields_of_their_names() -> None:
    check_values(Record, {"count": 3})
    with pytest.raises(UsageError, match="count is '3'; expected a whole number"):
        check_values(Record, {"count": "3"})


RANGES = {"count": (1, math.inf), "share": (ABOVE_0, 1), "name": (0, 1)}


@pytest.mark.parametrize(("count", "share"), [(1, 1), (10**9, 1e-300)])
def test_what_is_in_its_range_passes_ends_included_and_none_is_in_every_range(count: int, share: float) -> None:
    check_ranges(Record(count=count, share=share, name=None), RANGES)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ({"count": (1, math.inf)}, "count is 0; expected 1 or more"),
        ({"count": (1, 5)}, "count is 0; expected a number from 1 to 5"),
        ({"share": (ABOVE_0, math.inf)}, "share is 0.0; expected a number above 0"),
        ({"share": (ABOVE_0, 1)}, "share is 0.0; expected a number above 0 and at most 1"),
        ({"share": (-2, -1)}, "share is 0.0; expected a number from -2 to -1"),
    ],
)
def test_what_is_out_of_its_range_is_named_with_the_range(ranges: dict[str, tuple[float, float]], message: str) -> None:
    with pytest.raises(UsageError, match=f"^{message}$"):
        check_ranges(Record(), ranges)
