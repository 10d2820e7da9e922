"""What a value model says of turns that might be said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from oreo.agents.finite import check_numbers

if TYPE_CHECKING:
    from oreo.agents.rereading import TokenCache


def values_after(
    cache: TokenCache, continuations: Sequence[Sequence[Sequence[int]]], state_values: Sequence[float | None]
) -> list[list[float]]:
    """V after the last token of each continuation of each row, in one pass.

    A continuation without tokens ends where it began: it is worth what its state is.

    Args:
        cache: what a value model has read of the rows.
        continuations: for each row any number of them.
        state_values: V of each row's own state.

    Raises:
        DataError: the model gives what is no number.
    """
    outputs = cache.values([[ids for ids in row if ids] for row in continuations])
    values = []
    for row, row_outputs, state_value in zip(continuations, outputs, state_values, strict=True):
        coming = iter(row_outputs)
        values.append([float(next(coming)[0]) if ids else float(state_value or 0.0) for ids in row])
    check_numbers([value for row in values for value in row], "value")
    return values
