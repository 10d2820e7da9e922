"""What the rows of the data are: trajectories encoded for a method, and the order in which an epoch takes them."""

from __future__ import annotations

import dataclasses
import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from oreo.data.selection import Episode, game_of, pairs, select
from oreo.encoding.turn_format import Encoded, TurnFormat, check_length
from oreo.errors import DataError
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

    Args: as the fields of `oreo.training.config.TrainConfig`. Without selection and pairs, rows are in the order of the
    data.

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
        if not pieces:  # turns that were cut before they had a token
            continue
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
    """The trajectory paid as `oreo.training.config.TrainConfig.reward` says: "stored", "success" or "signed"."""
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
