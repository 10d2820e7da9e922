"""Fewer cases than all combinations, where what can go wrong takes one value or two that meet."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations, product
from typing import Any


def pairwise(*factors: Sequence[Any], allow: Callable[..., bool] = lambda *values: True) -> list[tuple[Any, ...]]:
    """Combinations in which any two values of two factors meet, if `allow` lets any combination have both.

    Greedy: the next is the one with the most new pairs, the first of equals, so the same factors give the same cases.
    """
    places = [case for case in product(*(range(len(factor)) for factor in factors)) if allow(*values(factors, case))]
    missing = {pair for case in places for pair in pairs(case)}
    chosen = []
    while missing:
        best = max(places, key=lambda case: len(missing & pairs(case)))
        missing -= pairs(best)
        chosen.append(best)
    return [values(factors, case) for case in sorted(chosen)]


def values(factors: Sequence[Sequence[Any]], case: tuple[int, ...]) -> tuple[Any, ...]:
    return tuple(factor[place] for factor, place in zip(factors, case, strict=True))


def pairs(case: tuple[int, ...]) -> set[tuple[tuple[int, int], ...]]:
    """Any two of (factor, place of its value)."""
    return set(combinations(enumerate(case), 2))
