"""oreo.training.batches: which rows stand in which micro-batch, and what a batch holds."""

from __future__ import annotations

import numpy as np
import torch

from helpers import small_models
from oreo.encoding.turn_format import TurnFormat
from oreo.training.batches import MicroBatching, collate, micro_batches, share_out

torch.set_num_threads(1)


def test_a_share_of_the_rows_has_whole_games_and_about_as_many_tokens_as_others() -> None:
    lengths = [[10], [20], [30], [40], [50], [60], [70]]
    games = ["a", "b", "a", "c", "d", "b", "e"]
    shares = share_out(range(7), lengths, games, 2)
    assert sorted(row for share in shares for row in share) == list(range(7))
    assert not {games[row] for row in shares[0]} & {games[row] for row in shares[1]}
    tokens = [sum(lengths[row][0] for row in share) for share in shares]
    assert max(tokens) - min(tokens) <= 80, "the largest game"


def test_samples_of_a_game_stand_in_one_micro_batch_where_rows_are_packed() -> None:
    lengths, games = [[40], [35], [20]], ["a", "b", "a"]
    assert micro_batches(range(3), lengths, 62, games=games, packed=True) == [[0, 2], [1]]
    assert micro_batches(range(3), [[60], [35], [20]], 62, games=games) == [[0], [1], [2]]
    assert micro_batches(range(3), lengths, 70, games=games) == [[0], [1, 2]]


def test_micro_batches_hold_every_row_once_within_their_tokens() -> None:
    lengths = [5, 90, 17, 17, 200, 3, 8]
    groups = micro_batches(range(7), [[length] for length in lengths], 100)
    assert sorted(row for group in groups for row in group) == list(range(7))
    assert groups[0] == [4] and all(len(g) * max(lengths[r] for r in g) <= 100 for g in groups[1:])
    counts = [2, 2, 3, 2, 2, 4, 2]
    several = [[length] * count for length, count in zip(lengths, counts, strict=True)]
    assert micro_batches(range(7), several, 100) == [[4], [1], [2, 3], [6, 0, 5]]


def test_micro_batches_of_packed_rows_are_as_large_as_their_tokens() -> None:
    lengths = [[60, 10], [50], [20], [8, 8], [7]]
    assert micro_batches(range(5), lengths, 100) == [[0], [1, 2], [3, 4]]
    assert micro_batches(range(5), lengths, 100, packed=True) == [[0], [1, 2, 3, 4]]


def test_every_process_makes_as_many_passes_and_all_rows_count_once() -> None:
    lengths, games = [[60], [50], [40]], ["a", "b", "c"]
    cuts = [
        MicroBatching(60, False, 0, processes=2, process=process, device=torch.device("cpu")).cut(
            [2, 0, 1], lengths, games
        )
        for process in (0, 1)
    ]
    assert [[micro.last for micro in cut] for cut in cuts] == [[False, True]] * 2
    counting = [micro.rows for cut in cuts for micro in cut if not micro.idle]
    assert sorted(row for rows in counting for row in rows) == [0, 1, 2]
    (idle,) = [micro for cut in cuts for micro in cut if micro.idle]
    assert idle.rows == [2] and cuts[0][1] is idle, "one of the update's rows stands in"


def test_a_packed_batch_leaves_out_padding_and_what_follows_the_last_action() -> None:
    form = TurnFormat.from_tokenizer(small_models.tokenizer())
    encoded = [form.encode(episode) for episode in small_models.episodes(5)]
    batch = collate(encoded, 256, packed=True)
    ends = [int(np.flatnonzero(piece.action_mask)[-1]) for piece in encoded]
    assert batch.packing is not None and batch.packing.input_ids.shape[1] == sum(ends) < batch.input_ids.numel()
    for row, end in enumerate(ends):
        assert torch.equal(batch.packing.input_ids[0, batch.packing.place[row, :end]], batch.input_ids[row, :end])
