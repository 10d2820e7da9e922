"""Which rows each update of a run learns from: epochs that take every row once, in an order that is drawn.

A new order is a function and a line in `ORDERS`; `--set order=NAME`, its check and its refusal follow. It returns a
permutation of 0 … N−1 that depends on the N rows and the generator, and on nothing else: a resumed run draws it again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np

from oreo.training.rows import Example

Order: TypeAlias = Callable[[Sequence[Example], np.random.Generator], list[int]]


def by_row(examples: Sequence[Example], rng: np.random.Generator) -> list[int]:
    """All rows in random order."""
    order: list[int] = rng.permutation(len(examples)).tolist()
    return order


def by_game(examples: Sequence[Example], rng: np.random.Generator) -> list[int]:
    """Games in random order, each with its rows, which are in random order among themselves."""
    order = by_row(examples, rng)
    first: dict[str, int] = {}
    for place, row in enumerate(order):
        first.setdefault(examples[row].game, place)
    return sorted(order, key=lambda row: first[examples[row].game])


ORDERS: dict[str, Order] = {"rows": by_row, "games": by_game}


class Rows:
    """The rows of a run, and which of them each of its updates learns from."""

    def __init__(self, examples: Sequence[Example], *, batch_size: int, seed: int, order: str = "rows") -> None:
        """Args:
        order: a name in `ORDERS`.
        """
        self.examples = examples
        self.lengths = [[len(piece) for piece in example.pieces] for example in examples]
        """Tokens of each sequence of each row."""
        self.games = [example.game for example in examples]
        self.per_epoch = math.ceil(len(examples) / batch_size)
        """Updates in one pass over the rows."""
        self._batch_size, self._seed, self._draw = batch_size, seed, ORDERS[order]
        self._drawn: tuple[int, list[int]] | None = None
        """The epoch that rows were last drawn for, and its order: drawn once an epoch and not for each update."""

    def of(self, updates_made: int) -> list[int]:
        """Indices of the rows of the update that is made after this many."""
        epoch, index = divmod(updates_made, self.per_epoch)
        if self._drawn is None or self._drawn[0] != epoch:
            self._drawn = epoch, self._draw(self.examples, np.random.default_rng((self._seed, epoch)))
        return self._drawn[1][index * self._batch_size : (index + 1) * self._batch_size]

    def tokens(self, rows: Sequence[int]) -> int:
        """All tokens of these rows, padding left out."""
        return sum(sum(self.lengths[row]) for row in rows)
