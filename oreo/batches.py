"""From trajectories to the tensors of one forward pass: what a row of the data is, order, length grouping, padding.

A row is what a method counts in: a trajectory or a piece of one, for DPO two trajectories. A batch is what one update
learns from; it is cut into micro-batches of similar lengths that fit into memory. The order is a function of (seed,
epoch) alone, so a run's position in its data is the number of updates it has made.
"""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oreo.data.selection import Episode, game_of, pairs, select
from oreo.encoding.turn_format import Encoded, TurnFormat, check_length
from oreo.errors import DataError
from oreo.models.packing import Packing, pack
from oreo.trajectory import Trajectory


@dataclass(frozen=True)
class Example:
    """One row of the data, encoded, with what logs and errors say about it."""

    trajectories: tuple[tuple[Encoded, ...], ...]
    """Each as its pieces. One trajectory (imitation: one piece of one), or two: the won one and the lost one (DPO)."""
    won: bool
    """Of the first trajectory."""
    name: str
    game: str = ""
    """Equal for samples of one game, which begin alike."""

    @property
    def pieces(self) -> list[Encoded]:
        """All sequences of this row, which go through the models together."""
        return [piece for trajectory in self.trajectories for piece in trajectory]


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
        return {name: each for name, each in vars(self).items() if isinstance(each, Tensor)}

    def to(self, device: torch.device) -> Batch:
        packing = None if self.packing is None else self.packing.to(device)
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors.items()}
        return Batch(**moved, packing=packing)


def encode_all(
    trajectories: Iterable[Trajectory],
    turn_format: TurnFormat,
    *,
    method: str,
    max_length: int | None,
    overlong: str,
    reward: str = "stored",
    samples_per_game: int | None = None,
    balance: str = "none",
    pairs_per_game: int | None = None,
    seed: int = 0,
) -> list[Example]:
    """Encode what the method learns from: SFT the turns to imitate, rejection those of won episodes, the others all.

    Args: as the fields of `oreo.config.TrainConfig`. Without selection and pairs, rows are in the order of the data.

    Raises:
        DataError: nothing to learn from; a trajectory longer than `max_length` with overlong="refuse".
        UsageError: see `oreo.data.selection.select`.
    """
    selecting = samples_per_game is not None or balance != "none" or method == "dpo"
    encoded: list[tuple[Encoded, ...]] = []
    wins: list[bool] = []
    episodes: list[Episode] = []
    """Only where there is something to select by them: each is a hash of all that was said."""
    names: list[tuple[str, str]] = []
    seen = won = long = 0
    for trajectory in trajectories:
        seen += 1
        won += trajectory.won
        if method == "rejection" and not trajectory.won:
            continue
        if not trajectory.steps:
            continue
        pieces = turn_format.split(with_reward(trajectory, reward), max_length if overlong == "split" else None)
        if overlong == "refuse":
            check_length(max(pieces, key=len), trajectory, max_length)
        elif overlong == "split":
            # Its agent's own context had as many beginnings; more are due to `max_length`.
            long += len(pieces) > len({step.context_start for step in trajectory.steps})
        elif max_length is not None and max(map(len, pieces)) > max_length:
            long += 1
            continue
        if method in ("sft", "rejection"):
            pieces = [piece for piece in pieces if piece.imitate.any()]
        if pieces:
            encoded.append(tuple(pieces))
            wins.append(trajectory.won)
            if selecting:
                episodes.append(Episode.of(trajectory))
            names.append((trajectory.game or trajectory.task or trajectory.env_id, game_of(trajectory)))
    if long:
        done = "split between turns" if overlong == "split" else "dropped"
        warnings.warn(f"{long} of {seen} trajectories have more than {max_length} tokens and were {done}", stacklevel=2)
    if not encoded:
        if not seen:
            raise DataError("there are no trajectories to train on; collect some first")
        if method == "rejection" and not won:
            raise DataError(f"none of the {seen} trajectories is won, and rejection sampling learns from no other")
        if long:
            raise DataError(f"all trajectories have more than {max_length} tokens; raise max_length")
        raise DataError(f"none of the {seen} trajectories has a turn to learn from")
    chosen = list(range(len(encoded)))
    if samples_per_game is not None or balance != "none":
        chosen = select(episodes, seed=seed, samples_per_game=samples_per_game, balance=balance)
    if method == "dpo":
        found = pairs([episodes[i] for i in chosen], seed=seed, pairs_per_game=pairs_per_game or len(chosen) ** 2)
        both = [(chosen[first], chosen[second]) for first, second in found]
        return [Example((encoded[first], encoded[second]), True, *names[first]) for first, second in both]
    if method in ("sft", "rejection"):
        return [Example(((piece,),), wins[i], *names[i]) for i in chosen for piece in encoded[i]]
    return [Example((encoded[i],), wins[i], *names[i]) for i in chosen]


def with_reward(trajectory: Trajectory, reward: str) -> Trajectory:
    """The trajectory paid as `oreo.config.TrainConfig.reward` says: "stored", "success" or "signed"."""
    if reward == "stored":
        return trajectory
    last = len(trajectory.steps) - 1
    paid = 1.0 if trajectory.won else -1.0 if reward == "signed" else 0.0
    steps = tuple(
        dataclasses.replace(step, reward=paid if index == last else 0.0) for index, step in enumerate(trajectory.steps)
    )
    return dataclasses.replace(trajectory, steps=steps)


def fingerprint(examples: Sequence[Example]) -> str:
    """16 hex digits that tell whether a resumed run sees the same data."""
    total = hashlib.sha256()
    for example in examples:
        if len(example.pieces) > 1 or not example.won:
            # Which sequences belong together, and what KTO wants; both are beside the arrays.
            total.update(repr(([len(pieces) for pieces in example.trajectories], example.won)).encode())
        for piece in example.pieces:
            for array in vars(piece).values():
                total.update(array.tobytes())
    return total.hexdigest()[:16]


def epoch_order(count: int, *, seed: int, epoch: int, games: Sequence[str] | None = None) -> list[int]:
    """A permutation of 0 … count−1 that depends on (seed, epoch), and on `games`, and nothing else.

    Args:
        games: the game of each row; rows of a game then stand together, in an order that is drawn like that of games.
    """
    order: list[int] = np.random.default_rng((seed, epoch)).permutation(count).tolist()
    if games is None:
        return order
    first: dict[str, int] = {}
    for place, row in enumerate(order):
        first.setdefault(games[row], place)
    return sorted(order, key=lambda row: first[games[row]])


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
