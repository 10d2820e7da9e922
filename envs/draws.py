"""Reproducible choices: the same on every platform, Python and numpy version, and quick.

Only PCG64's raw doubles are used, whose stream numpy guarantees; `Generator.choice` and its like may change.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import TypeVar

import numpy as np

T = TypeVar("T")

_CHUNK = 128  # Doubles fetched at a time: one by one costs ten times as much.


class Draws:
    """A stream of choices, named by non-negative integers.

        draws = Draws(seed, index)
        draws.choice("abc"), draws.weighted({"a": 3, "b": 1}), draws.between(2, 5)

    Streams with the same number of integers are independent of one another.
    """

    def __init__(self, *entropy: int) -> None:
        self._random = np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
        self._ready: list[float] = []

    def uniform(self) -> float:
        """A number in [0, 1)."""
        if not self._ready:
            self._ready = self._random.random(_CHUNK).tolist()
        return self._ready.pop()

    def between(self, low: int, high: int) -> int:
        """A whole number from low to high, both included."""
        return low + int(self.uniform() * (high - low + 1))

    def choice(self, items: Sequence[T]) -> T:
        return items[int(self.uniform() * len(items))]

    def weighted(self, weights: Mapping[T, float]) -> T:
        """A key, by weights that need not sum to one. The mapping's order matters."""
        totals = list(accumulate(weights.values()))
        position = bisect_right(totals, self.uniform() * totals[-1])
        return list(weights)[min(position, len(totals) - 1)]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        keys = [self.uniform() for _ in items]
        return [items[i] for i in sorted(range(len(items)), key=keys.__getitem__)]
