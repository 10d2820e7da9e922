"""From trajectories to the tensors of one forward pass: what a row of the data is, order, length grouping, padding.

A row is what a method counts in: a trajectory or a piece of one, for DPO two trajectories. A batch is what one update
learns from; it is cut into micro-batches of similar lengths that fit into memory. The order is a function of (seed,
epoch) alone, so a run's position in its data is the number of updates it has made.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oreo.encoding.turn_format import Encoded
from oreo.models.packing import Packing, pack


@dataclass(frozen=True)
class Batch:
    """[B, T] tensors, padded on the right with zero weight. Fields as `oreo.encoding.turn_format.Encoded`."""

    input_ids: Tensor
    action_mask: Tensor
    step_start: Tensor
    reward: Tensor
    imitate: Tensor
    packing: Packing | None = None
    """The same rows without padding."""

    @property
    def tensors(self) -> dict[str, Tensor]:
        return {name: entry for name, entry in vars(self).items() if isinstance(entry, Tensor)}

    def to(self, device: torch.device) -> Batch:
        packing = None if self.packing is None else self.packing.to(device)
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors.items()}
        return Batch(**moved, packing=packing)


def share_out(
    rows: Sequence[int], lengths: Sequence[Sequence[int]], games: Sequence[str], processes: int
) -> list[list[int]]:
    """Rows for each process, about equally many tokens, those of a game together."""
    shares: list[list[int]] = [[] for _ in range(processes)]
    tokens = [0] * processes
    families: dict[str, list[int]] = {}
    for row in rows:
        families.setdefault(games[row], []).append(row)
    sizes = {game: sum(sum(lengths[row]) for row in family) for game, family in families.items()}
    for game in sorted(families, key=lambda game: (-sizes[game], families[game])):
        least = min(range(processes), key=lambda process: (tokens[process], process))
        shares[least] += families[game]
        tokens[least] += sizes[game]
    return shares


def micro_batches(
    rows: Sequence[int],
    lengths: Sequence[Sequence[int]],
    max_tokens: int,
    *,
    games: Sequence[str] | None = None,
    packed: bool = False,
) -> list[list[int]]:
    """Cut rows into groups of similar length, each of at most `max_tokens` with its padding (or a single row).

    Longest first: what does not fit into memory fails at once and not an hour later. `lengths` are those of each row's
    sequences. With `packed` there is no padding, and rows of one of the `games` stand together: they begin alike.
    """
    groups: list[list[int]] = []
    longest = total = sequences = 0
    lead: dict[str, int] = {}
    by_length = sorted(rows, key=lambda row: (-max(lengths[row]), row))
    if packed and games is not None:
        for place, row in enumerate(by_length):
            lead.setdefault(games[row], place)
        by_length.sort(key=lambda row: lead[games[row]])
    for row in by_length:
        sequences += len(lengths[row])
        total += sum(lengths[row])
        if groups and (total if packed else sequences * longest) <= max_tokens:
            groups[-1].append(row)
        else:
            groups.append([row])
            longest, total, sequences = max(lengths[row]), sum(lengths[row]), len(lengths[row])
    return groups


def collate(encoded: Sequence[Encoded], pad_id: int, *, packed: bool = False) -> Batch:
    """Pad on the right. Padding has no action token, so its id does not matter beyond being one the model knows.

    With `packed`, the rows are also laid out without padding; what follows a row's last action is left out there.
    """
    shape = (len(encoded), max(len(row) for row in encoded))
    arrays = {
        "input_ids": np.full(shape, pad_id, dtype=np.int64),
        "action_mask": np.zeros(shape, dtype=bool),
        "step_start": np.zeros(shape, dtype=bool),
        "reward": np.zeros(shape, dtype=np.float32),
        "imitate": np.zeros(shape, dtype=bool),
    }
    for index, row in enumerate(encoded):
        for name, array in arrays.items():
            array[index, : len(row)] = getattr(row, name)
    packing = None
    if packed:
        ends = [max(1, int(np.max(np.flatnonzero(row.action_mask), initial=1))) for row in encoded]
        packing = pack([row.input_ids[:end] for row, end in zip(encoded, ends, strict=True)], shape[1])
    return Batch(**{name: torch.from_numpy(array) for name, array in arrays.items()}, packing=packing)


@dataclass(frozen=True)
class MicroBatch:
    """The rows of one forward and backward pass of one process."""

    rows: list[int]
    idle: bool
    """Whether the process had no row left for this pass and takes part in it with one that counts nothing: a pass is
    made by all processes or by none."""
    last: bool
    """Whether it is the last one of its update."""


@dataclass(frozen=True)
class MicroBatching:
    """How a process cuts the rows of an update, or its share of them, into what fits into memory."""

    tokens: int
    """In one forward pass, padding (if any) included."""
    packed: bool
    pad_id: int
    processes: int
    process: int
    """Which of them this one is, from 0."""
    device: torch.device

    def cut(self, rows: Sequence[int], lengths: Sequence[Sequence[int]], games: Sequence[str]) -> list[MicroBatch]:
        """The micro-batches of this process's share of the rows; as many of them as every other process gets.

        Args: as `micro_batches`.
        """
        shares = share_out(rows, lengths, games, self.processes)
        groups = [micro_batches(share, lengths, self.tokens, games=games, packed=self.packed) for share in shares]
        own, count = groups[self.process], max(map(len, groups))
        return [
            MicroBatch(
                own[index] if index < len(own) else list(rows[:1]), idle=index >= len(own), last=index + 1 == count
            )
            for index in range(count)
        ]

    def batch(self, encoded: Sequence[Encoded]) -> Batch:
        """The sequences of one micro-batch, on the device."""
        return collate(encoded, self.pad_id, packed=self.packed).to(self.device)
