"""Intervals and tests against published numbers and against their definitions."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.errors import UsageError
from oreo.eval.statistics import mcnemar_exact, wilson_interval


@pytest.mark.parametrize(
    ("successes", "n", "low", "high"),
    [
        # R. G. Newcombe (1998), Statistics in Medicine 17, 857-872, table I, method 3.
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
        # The same formula by hand, z = 1.959964.
        (0, 10, 0.0000, 0.2775),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0000),
    ],
)
def test_wilson_interval_is_the_published_one(successes: int, n: int, low: float, high: float) -> None:
    assert wilson_interval(successes, n) == pytest.approx((low, high), abs=5e-5)


@given(st.integers(1, 2000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.01, 0.999))
def test_the_interval_holds_the_rate_and_mirrors_for_failures(counts: tuple[int, int], confidence: float) -> None:
    successes, n = counts
    low, high = wilson_interval(successes, n, confidence)
    assert 0 <= low <= successes / n <= high <= 1
    mirrored = wilson_interval(n - successes, n, confidence)
    assert mirrored == pytest.approx((1 - high, 1 - low), abs=1e-12)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(1, max(1, n - 1)), st.just(n + 1))))
def test_at_its_ends_the_score_test_is_just_significant(counts: tuple[int, int]) -> None:
    """The definition: the interval holds the rates p with |x/n - p| <= z √(p(1-p)/n)."""
    successes, n = counts
    for bound in wilson_interval(successes, n):
        score = abs(successes / n - bound) / math.sqrt(bound * (1 - bound) / n)
        assert score == pytest.approx(1.959964, abs=1e-4)


def test_no_trials_say_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


@pytest.mark.parametrize("successes,n,confidence", [(3, 2, 0.95), (-1, 5, 0.95), (1, 5, 1.0), (1, 5, 0.0)])
def test_impossible_numbers_are_refused(successes: int, n: int, confidence: float) -> None:
    with pytest.raises(UsageError, match="expected"):
        wilson_interval(successes, n, confidence)


def test_the_paired_test_is_the_binomial_one_on_the_games_that_differ() -> None:
    first = [True] * 9 + [False] * 1 + [True] * 50
    second = [False] * 9 + [True] * 1 + [True] * 50
    assert mcnemar_exact(first, second) == pytest.approx(2 * (1 + 10) / 2**10)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=200))
def test_the_paired_test_does_not_care_who_is_first(pairs: list[tuple[bool, bool]]) -> None:
    first, second = [a for a, _ in pairs], [b for _, b in pairs]
    assert mcnemar_exact(first, second) == mcnemar_exact(second, first)
    assert mcnemar_exact(first, first) == 1.0
    assert 0 < mcnemar_exact(first, second) <= 1


def test_the_paired_test_wants_pairs() -> None:
    with pytest.raises(UsageError, match="3 and 2"):
        mcnemar_exact([True] * 3, [True] * 2)
