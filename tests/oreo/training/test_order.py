"""oreo.training.order: every epoch takes every row once, in an order of its own that can be drawn again."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from oreo.training.config import TrainConfig
from oreo.training.order import ORDERS, Rows
from oreo.training.rows import Example

GAMES = ["a", "b", "a", "c", "b", "a", "c"]
EXAMPLES = [Example((), True, "", game) for game in GAMES]


def epochs(seed: int, count: int, order: str, examples: list[Example]) -> list[list[int]]:
    rows = Rows(examples, batch_size=len(examples), seed=seed, order=order)
    return [rows.of(epoch) for epoch in range(count)]


@pytest.mark.parametrize("order", ORDERS)
def test_every_epoch_is_a_permutation_of_its_own(order: str) -> None:
    examples = [Example((), True, "", f"game {index}") for index in range(50)]
    orders = [*epochs(0, 2, order, examples), *epochs(1, 2, order, examples)]
    assert all(sorted(drawn) == list(range(50)) for drawn in orders)
    assert len({tuple(drawn) for drawn in orders}) == 4 and epochs(1, 2, order, examples) == orders[2:]


def test_epochs_of_whole_games_are_permutations_of_games_and_within_them() -> None:
    orders = epochs(0, 40, "games", EXAMPLES)
    for order in orders:
        assert sorted(order) == list(range(7))
        runs = [game for game, _ in itertools.groupby(order, key=GAMES.__getitem__)]
        assert sorted(runs) == ["a", "b", "c"]
    assert len({tuple(GAMES[row] for row in order) for order in orders}) == 6
    assert len({tuple(row for row in order if GAMES[row] == "a") for order in orders}) == 6


@pytest.mark.parametrize("order", ORDERS)
def test_updates_of_an_epoch_take_its_rows_in_turn_and_a_resumed_run_goes_on_among_them(order: str) -> None:
    """As numpy draws it: a run that was interrupted by an earlier version ends as it would have."""
    permutation = np.random.default_rng((3, 1)).permutation(7).tolist()
    place = {game: min(permutation.index(row) for row in range(7) if GAMES[row] == game) for game in "abc"}
    expected = permutation if order == "rows" else sorted(permutation, key=lambda row: place[GAMES[row]])
    for first in (0, 3, 4, 5):  # epoch 1 has the updates 3, 4 and 5
        rows = Rows(EXAMPLES, batch_size=3, seed=3, order=order)
        drawn = {index: rows.of(index) for index in range(first, 6)}
        assert all(drawn[index] == expected[3 * (index - 3) :][:3] for index in drawn if index >= 3)


def test_a_run_that_was_told_games_together_goes_on_by_games() -> None:
    stored = TrainConfig(order="games").to_dict()
    del stored["order"]
    assert not TrainConfig(order="games").differences(stored | {"games_together": True})
    assert TrainConfig().differences(stored | {"games_together": True}) == ["order: 'games' then, 'rows' now"]
    assert not TrainConfig().differences(stored | {"games_together": False})
