"""How sure a success rate is, and whether two agents on the same games differ. Plain arithmetic, no scipy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from oreo.errors import UsageError


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a success rate; it stays inside [0, 1] and is sensible for 0 of n and n of n.

    E. B. Wilson (1927), JASA 22, 209-212; no continuity correction.

    Args:
        successes: how many of `n`.
        n: how many were tried; 0 gives (0, 1), since nothing is known.
        confidence: between 0 and 1, both excluded.
    Returns:
        (low, high), with low <= successes / n <= high.
    Raises:
        UsageError: numbers that are no counts, or a confidence outside (0, 1).
    """
    if not 0 <= successes <= n:
        raise UsageError(f"{successes} successes of {n}: expected 0 <= successes <= n")
    if not 0 < confidence < 1:
        raise UsageError(f"confidence={confidence!r}: expected a number between 0 and 1, such as 0.95")
    if n == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    rate = successes / n
    centre = (rate + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    # At both ends the bound equals the rate exactly; rounding must not push it past.
    low = 0.0 if successes == 0 else max(0.0, min(rate, centre - half))
    high = 1.0 if successes == n else min(1.0, max(rate, centre + half))
    return low, high


def mcnemar_exact(first: Sequence[bool], second: Sequence[bool]) -> float:
    """Two-sided p-value that two agents win equally often, from the games where only one of them won.

    The exact binomial form of Q. McNemar (1947), Psychometrika 12, 153-157. More powerful than comparing two intervals
    when both agents played the same games.

    Args:
        first: game by game, whether the first agent won.
        second: the same games in the same order, the other agent.
    Raises:
        UsageError: sequences of different lengths.
    """
    if len(first) != len(second):
        raise UsageError(f"a paired test needs the same games twice, got {len(first)} and {len(second)}")
    only_first = sum(bool(a) and not b for a, b in zip(first, second, strict=True))
    only_second = sum(bool(b) and not a for a, b in zip(first, second, strict=True))
    differing = only_first + only_second
    tail = sum(math.comb(differing, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**differing)


def percent(rate: float) -> str:
    """0.4567 -> "45.7 %"."""
    return f"{100 * rate:.1f} %"
