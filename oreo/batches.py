"""From trajectories to the tensors of one forward pass: selection, order, length grouping, padding.

A batch is what one update learns from; it is cut into micro-batches of similar lengths that fit into memory. The order
is a function of (seed, epoch) alone, so a run's position in its data is the number of updates it has made.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oreo.encoding import Encoded, TurnFormat, check_length
from oreo.errors import DataError
from oreo.trajectory import Trajectory


@dataclass(frozen=True)
class Example:
    """An encoded trajectory, or a piece of one, with what logs and errors say about it."""

    encoded: Encoded
    won: bool
    name: str


@dataclass(frozen=True)
class Batch:
    """[B, T] tensors, padded on the right with zero weight. Fields as `oreo.encoding.Encoded`."""

    input_ids: Tensor
    action_mask: Tensor
    step_start: Tensor
    reward: Tensor
    imitate: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(*(tensor.to(device, non_blocking=True) for tensor in vars(self).values()))


def encode_all(
    trajectories: Iterable[Trajectory],
    turn_format: TurnFormat,
    *,
    method: str,
    max_length: int | None,
    overlong: str,
) -> list[Example]:
    """Encode what the method learns from: OREO everything, SFT the turns to imitate, rejection those of won episodes.

    Raises:
        DataError: nothing to learn from; a trajectory longer than `max_length` with overlong="refuse".
    """
    examples: list[Example] = []
    seen = won = long = 0
    for trajectory in trajectories:
        seen += 1
        won += trajectory.won
        if method == "rejection" and not trajectory.won:
            continue
        if not trajectory.steps:
            continue
        pieces = turn_format.split(trajectory, max_length if overlong == "split" else None)
        if overlong == "refuse":
            check_length(max(pieces, key=len), trajectory, max_length)
        elif overlong == "split":
            # Its agent's own context had as many beginnings; more are due to `max_length`.
            long += len(pieces) > len({step.context_start for step in trajectory.steps})
        elif max_length is not None and max(map(len, pieces)) > max_length:
            long += 1
            continue
        if method != "oreo":
            pieces = [piece for piece in pieces if piece.imitate.any()]
        name = trajectory.game or trajectory.task or trajectory.env_id
        examples += [Example(piece, trajectory.won, name) for piece in pieces]
    if long:
        done = "split between turns" if overlong == "split" else "dropped"
        warnings.warn(f"{long} of {seen} trajectories have more than {max_length} tokens and were {done}", stacklevel=2)
    if not examples:
        if not seen:
            raise DataError("there are no trajectories to train on; collect some first")
        if method == "rejection" and not won:
            raise DataError(f"none of the {seen} trajectories is won, and rejection sampling learns from no other")
        if long:
            raise DataError(f"all trajectories have more than {max_length} tokens; raise max_length")
        raise DataError(f"none of the {seen} trajectories has a turn to learn from")
    return examples


def fingerprint(examples: Sequence[Example]) -> str:
    """16 hex digits that tell whether a resumed run sees the same data."""
    total = hashlib.sha256()
    for example in examples:
        for array in vars(example.encoded).values():
            total.update(array.tobytes())
    return total.hexdigest()[:16]


def epoch_order(count: int, *, seed: int, epoch: int) -> list[int]:
    """A permutation of 0 … count−1 that depends on (seed, epoch) and nothing else."""
    return np.random.default_rng((seed, epoch)).permutation(count).tolist()


def micro_batches(rows: Sequence[int], lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Cut rows into groups of similar length, each of at most `max_tokens` with its padding (or a single row).

    Longest first: what does not fit into memory fails at once and not an hour later.
    """
    groups: list[list[int]] = []
    for row in sorted(rows, key=lambda row: (-lengths[row], row)):
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= max_tokens:
            groups[-1].append(row)
        else:
            groups.append([row])
    return groups


def collate(encoded: Sequence[Encoded], pad_id: int) -> Batch:
    """Pad on the right. Padding has no action token, so its id does not matter beyond being one the model knows."""
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
    return Batch(**{name: torch.from_numpy(array) for name, array in arrays.items()})
