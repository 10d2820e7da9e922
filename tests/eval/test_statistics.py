"""Intervals and tests against published numbers and against their definitions."""

from __future__ import annotations

import math
from itertools import product
from statistics import pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.errors import UsageError
from oreo.eval.statistics import crossed_bootstrap, mcnemar_exact, paired_difference, wilson_interval


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


def paired(both: int, only_first: int, only_second: int, neither: int) -> tuple[list[bool], list[bool]]:
    """Two agents' games, from how many there are of each kind."""
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return first, second


def test_the_difference_and_the_test_are_the_published_ones() -> None:
    """M. W. Fagerland, S. Lydersen, P. Laake (2017), Statistical Analysis of Contingency Tables, chapter 8."""
    first, second = paired(59, 16, 6, 80)
    assert paired_difference(first, second) == pytest.approx((-0.0621, -0.1186, -0.0046), abs=5e-5)
    assert mcnemar_exact(first, second) == pytest.approx(0.052479, abs=5e-7)


counts = st.tuples(*[st.integers(0, 60)] * 4)


@given(counts, st.floats(0.01, 0.999))
def test_the_interval_holds_the_difference_and_mirrors_for_the_other_agent(
    games: tuple[int, int, int, int], confidence: float
) -> None:
    first, second = paired(*games)
    difference, low, high = paired_difference(first, second, confidence)
    assert -1 - 1e-12 <= low <= difference <= high <= 1 + 1e-12
    assert difference == (pytest.approx((sum(second) - sum(first)) / len(first)) if first else 0)
    assert paired_difference(second, first, confidence) == pytest.approx((-difference, -high, -low), abs=1e-12)


def test_playing_the_same_games_makes_the_difference_surer_when_they_are_won_together() -> None:
    _, low, high = paired_difference(*paired(50, 5, 5, 40))
    _, low_apart, high_apart = paired_difference(*paired(30, 25, 25, 20))
    assert high - low < 0.7 * (high_apart - low_apart)


def test_agents_that_never_differ_leave_the_doubt_that_few_games_leave() -> None:
    difference, low, high = paired_difference([True] * 10, [True] * 10)
    assert difference == 0 and low == pytest.approx(-0.2775, abs=5e-5) and high == -low


@pytest.mark.parametrize(
    "shares", [(0.6, 0.1, 0.15, 0.15), (0.25, 0.25, 0.25, 0.25), (0.8, 0.05, 0.1, 0.05), (0.1, 0.05, 0.6, 0.25)]
)
def test_the_interval_holds_the_true_difference_about_as_often_as_it_says(
    shares: tuple[float, float, float, float],
) -> None:
    """Over every outcome of 20 games, each with its probability. (The interval is approximate: not exactly 95 %.)"""
    n, true, covered, total = 20, shares[2] - shares[1], 0.0, 0.0
    for both, only_first, only_second in product(range(n + 1), repeat=3):
        neither = n - both - only_first - only_second
        if neither < 0:
            continue
        kinds = (both, only_first, only_second, neither)
        ways = math.factorial(n) // math.prod(math.factorial(kind) for kind in kinds)
        probability = ways * math.prod(share**kind for share, kind in zip(shares, kinds, strict=True))
        _, low, high = paired_difference(*paired(*kinds))
        total += probability
        covered += probability * (low <= true <= high)
    assert total == pytest.approx(1)
    assert 0.93 < covered < 0.99


def test_no_games_say_nothing_about_the_difference() -> None:
    assert paired_difference([], []) == (0.0, -1.0, 1.0)


def test_paired_comparisons_want_pairs() -> None:
    for compare in (mcnemar_exact, paired_difference):
        with pytest.raises(UsageError, match="3 and 2"):
            compare([True] * 3, [True] * 2)


def test_over_one_model_the_bootstrap_is_the_one_over_games() -> None:
    """Its interval for 60 of 200 is the binomial one."""
    mean, low, high = crossed_bootstrap([[1] * 60 + [0] * 140])
    half = 1.959964 * math.sqrt(0.3 * 0.7 / 200)
    assert mean == 0.3 and (low, high) == (pytest.approx(0.3 - half, abs=0.006), pytest.approx(0.3 + half, abs=0.006))


def test_models_that_differ_widen_the_interval_and_games_that_all_lose_do_too() -> None:
    """The variance of the pigeonhole bootstrap, of a table of rows + columns: each part's over its own number."""
    rows, columns = [0.1, 0.4, 0.7, 0.2], [0.0, 1.0, 2.0, 0.0, 1.0, 0.5, 0.25, 1.5]
    _, low, high = crossed_bootstrap([[a + b for b in columns] for a in rows], confidence=0.6827, draws=40_000)
    variance = pvariance(rows) / len(rows) + pvariance(columns) / len(columns)
    assert (high - low) / 2 == pytest.approx(math.sqrt(variance), rel=0.05)


def test_the_bootstrap_gives_the_same_each_time_and_mirrors_for_losses() -> None:
    won = [[1, 0, 1, 1], [1, 1, 0, 1], [0, 0, 1, 1]]
    mean, low, high = crossed_bootstrap(won)
    assert crossed_bootstrap(won) == (mean, low, high) and low < mean < high
    mirrored = crossed_bootstrap([[1 - result for result in row] for row in won])
    assert mirrored == pytest.approx((1 - mean, 1 - high, 1 - low), abs=1e-9)


@pytest.mark.parametrize("results", [[], [[]], [[1, 0], [1]]])
def test_the_bootstrap_wants_the_same_games_in_each_row(results: list[list[float]]) -> None:
    with pytest.raises(UsageError, match="same games"):
        crossed_bootstrap(results)
