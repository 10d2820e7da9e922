"""How sure a success rate is, and whether two agents on the same games differ. Without scipy."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from statistics import NormalDist

from oreo.errors import UsageError


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """The Wilson score interval of a success rate; it stays inside [0, 1] and is sensible for 0 of n and n of n.

    E. B. Wilson (1927), JASA 22, 209-212; no continuity correction.

    Args:
        successes: how many of `n`.
        n: how many were tried; 0 gives (0, 1), since nothing was seen.
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
    _, only_first, only_second, _ = _paired_counts(first, second)
    differing = only_first + only_second
    tail = sum(math.comb(differing, k) for k in range(min(only_first, only_second) + 1))
    return min(1.0, 2 * tail / 2**differing)


def paired_difference(
    first: Sequence[bool], second: Sequence[bool], confidence: float = 0.95
) -> tuple[float, float, float]:
    """By how much the second agent's success rate exceeds the first's on the same games, with its interval.

    R. G. Newcombe (1998), Statistics in Medicine 17, 2635-2650, method 10: from the Wilson intervals of both rates and
    the correlation between them, with n/2 taken off the numerator of a positive one. Where the agents never differ it
    still has a width.

    Args:
        first, second: game by game, whether each agent won, in the same order.
        confidence: between 0 and 1, both excluded.
    Returns:
        (difference, low, high), -1 to 1. Without games (0, -1, 1), since nothing was seen.
    Raises:
        UsageError: sequences of different lengths, or a confidence outside (0, 1).
    """
    both, only_first, only_second, neither = _paired_counts(first, second)
    n = both + only_first + only_second + neither
    won, lost = (both + only_second, both + only_first), (only_first + neither, only_second + neither)
    intervals = [wilson_interval(wins, n, confidence) for wins in won]
    if n == 0:
        return 0.0, -1.0, 1.0
    rates = [wins / n for wins in won]
    (below, above), (below_first, above_first) = (
        (rate - low, high - rate) for rate, (low, high) in zip(rates, intervals, strict=True)
    )
    spread = math.sqrt(math.prod(won) * math.prod(lost))
    product = both * neither - only_first * only_second
    correlation = (product if product < 0 else max(0.0, product - n / 2)) / spread if spread else 0.0
    difference = (only_second - only_first) / n
    down = below**2 - 2 * correlation * below * above_first + above_first**2
    up = above**2 - 2 * correlation * above * below_first + below_first**2
    # Rounding must not take the root of less than nothing.
    return difference, difference - math.sqrt(max(0.0, down)), difference + math.sqrt(max(0.0, up))


def crossed_bootstrap(
    results: Sequence[Sequence[float]], confidence: float = 0.95, draws: int = 10_000
) -> tuple[float, float, float]:
    """Mean over trained models that all played the same games, with an interval over both: other models of the same
    recipe, and other games.

    The pigeonhole bootstrap: A. B. Owen (2007), Annals of Applied Statistics 1, 386-411. Rows and columns are drawn
    anew, independently, and the percentiles of the means taken. It counts the noise of single episodes more than
    once, so it is a little wide where that is most of the noise. With three rows it knows little of how rows differ,
    and less than they do: look at them too.

    Args:
        results: a row for each model, a column for each game: 1 where won, else 0; or the difference of two agents.
        confidence: between 0 and 1, both excluded.
        draws: how many means; the same ones each time.
    Returns:
        (mean, low, high).
    Raises:
        UsageError: no results, rows of different lengths, or a confidence outside (0, 1).
    """
    import numpy as np

    if not 0 < confidence < 1:
        raise UsageError(f"confidence={confidence!r}: expected a number between 0 and 1, such as 0.95")
    lengths = {len(row) for row in results}
    if len(lengths) != 1 or 0 in lengths:
        raise UsageError(f"expected rows of the same games, got {sorted(lengths) or 'none'}")
    table = np.asarray(results, dtype=float)
    rows, columns = table.shape
    rng = np.random.default_rng(0)
    # How often each row and each column was drawn; the mean of a draw is then weights · table · weights.
    row_weights = rng.multinomial(rows, np.full(rows, 1 / rows), size=draws) / rows
    column_weights = rng.multinomial(columns, np.full(columns, 1 / columns), size=draws) / columns
    means = np.einsum("dr,dr->d", row_weights, column_weights @ table.T)
    low, high = np.quantile(means, [(1 - confidence) / 2, (1 + confidence) / 2])
    return float(table.mean()), float(low), float(high)


def _paired_counts(first: Sequence[bool], second: Sequence[bool]) -> tuple[int, int, int, int]:
    """Count the games that both won, only the first, only the second, neither."""
    if len(first) != len(second):
        raise UsageError(f"a paired comparison needs the same games twice, got {len(first)} and {len(second)}")
    counts = Counter((bool(a), bool(b)) for a, b in zip(first, second, strict=True))
    return counts[True, True], counts[True, False], counts[False, True], counts[False, False]


def percent(rate: float) -> str:
    """0.4567 -> "45.7 %"."""
    return f"{100 * rate:.1f} %"
