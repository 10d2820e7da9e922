"""What may stand behind a number, and how units convert."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.envs.math.units import after_number, ratio


@pytest.mark.parametrize(
    ("one", "other", "factor"),
    [
        ("cm", "mm", 10),
        ("foot", "inch", 12),
        ("mile", "foot", 5280),
        ("km/hour", "m/second", Fraction(5, 18)),
        ("m2", "cm2", 10_000),
        ("dollar", "cent", 100),
        ("gallon", "quart", 4),
        ("pound", "ounce", 16),
        ("", "cm", 1),
        ("cm", "second", None),
        ("cm", "cm2", None),
        ("am", "pm", None),
    ],
)
def test_units_convert_exactly_or_not_at_all(one: str, other: str, factor: Fraction | int | None) -> None:
    assert ratio(one, other) == factor
    if factor is not None:
        assert ratio(other, one) == 1 / Fraction(factor)


@pytest.mark.parametrize(
    ("rest", "read"),
    [
        (" cm", (1, "cm")),
        ("%", (Fraction(1, 100), "")),
        (" (%)", (Fraction(1, 100), "")),
        (" million dollars", (10**6, "dollar")),
        (" miles per hour", (1, "mile/hour")),
        (" (hours)", (1, "hour")),
        (" times", (1, "")),
        (" (times)", (1, "")),
        (" times as many", (1, "")),
        (" (third graders)", (1, "")),
        (" third graders", (1, "")),
        (" clips", (1, "")),
        (" times x", None),
        (" times 3", None),
        (" thirds", None),
        (" third", None),
        (" third of its pages", None),
        (" (half)", None),
        (" (sin x)", None),
        ("x", None),
        (" (x)", None),
        (" dozen", None),
    ],
)
def test_what_is_counted_is_told_from_what_is_computed(rest: str, read: tuple[Fraction, str] | None) -> None:
    assert after_number(rest) == read


@given(st.text(max_size=30), st.sampled_from(["", "$", "£"]))
def test_any_rest_is_read_or_refused(rest: str, currency: str) -> None:
    assert after_number(rest, currency) is None or len(after_number(rest, currency) or ()) == 2
