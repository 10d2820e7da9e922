"""Reading episodes with a value model.

The states are those of best_of_k.py: V where a turn is chosen, and after the last token of a turn, before its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from oreo.agents.context import EpisodeContext
from oreo.agents.finite import check_numbers
from oreo.agents.rereading import cache_for
from oreo.agents.values import values_after

T = TypeVar("T")


class ValueReader:
    """A value model with what it has read of the live episodes. Results are in the order of the contexts given."""

    def __init__(self, model: Any) -> None:
        """Args: model: token-classification model with one label."""
        self.cache = cache_for(model)
        self._order: list[int] = []
        """The context that each row of the cache is of."""
        self._state_values: list[float] = []

    def read(self, contexts: Sequence[EpisodeContext]) -> list[float]:
        """V of the state each turn is chosen in."""
        self.cache.retain([context.key for context in contexts])
        self._order = order_of(self.cache.keys, contexts)
        if not contexts:
            return []
        outputs = self.cache.read([contexts[index].ids for index in self._order])
        self._state_values = outputs[:, 0].float().tolist()
        check_numbers(self._state_values, "value")
        return self._by_context(self._state_values)

    def values(self, continuations: Sequence[Sequence[Sequence[int]]]) -> list[list[float]]:
        """V after each continuation of each context read last; see `oreo.agents.values.values_after`."""
        rows = [continuations[index] for index in self._order]
        return self._by_context(values_after(self.cache, rows, self._state_values))

    def commit(self, continuations: Sequence[Sequence[int]]) -> None:
        """Which continuation of each context was said: the cache keeps what it read of it."""
        self.cache.commit([continuations[index] for index in self._order])

    def _by_context(self, rows: Sequence[T]) -> list[T]:
        placed = dict(zip(self._order, rows, strict=True))
        return [placed[index] for index in range(len(placed))]


def order_of(keys: Sequence[int], contexts: Sequence[EpisodeContext]) -> list[int]:
    """The index of the context that each row of a cache is of."""
    row_of = {key: row for row, key in enumerate(keys)}
    return sorted(range(len(contexts)), key=lambda index: row_of[contexts[index].key])
