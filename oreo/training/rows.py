"""What the rows of the data are: trajectories encoded for a method. Their order: oreo.training.order."""

from __future__ import annotations

import dataclasses
import enum
import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oreo.actions import holds_its_action
from oreo.data.selection import Episode, game_of, pairs, select
from oreo.data.views import of_trajectories
from oreo.encoding.turn_format import Encoded, TurnFormat, check_length
from oreo.errors import DataError
from oreo.trajectory import Step, Trajectory


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


class RowKind(enum.Enum):
    """What one row of the data is."""

    TURNS = "turns"
    """A sequence that has turns to imitate."""
    TRAJECTORIES = "trajectories"
    """A trajectory, in all its pieces."""
    PAIRS = "pairs"
    """A won and a lost trajectory of one game."""
    STEP_PAIRS = "step pairs"
    """Of such a pair the two turns in which they part, in the state that both were in then."""


OF_PAIRS = (RowKind.PAIRS, RowKind.STEP_PAIRS)


@dataclass(frozen=True)
class _Encoded:
    """A trajectory that is learnt from."""

    pieces: tuple[Encoded, ...]
    won: bool
    name: str
    game: str
    episode: Episode | None
    """Only where there is something to select by it: it is a hash of all that was said."""


def encode_all(
    trajectories: Iterable[Trajectory],
    turn_format: TurnFormat,
    *,
    rows: RowKind,
    won_only: bool = False,
    max_length: int | None,
    overlong: str,
    reward: str = "stored",
    imitate: str = "all",
    samples_per_game: int | None = None,
    balance: str = "none",
    pairs_per_game: int | None = None,
    imitate_refused: bool = True,
    seed: int = 0,
) -> list[Example]:
    """Encode the trajectories as a method's rows.

    Warns of trajectories that were split or dropped, and of turns that an agent would hand over as another action.

    Args:
        rows, won_only: as `oreo.training.methods.spec.MethodSpec`.
        pairs_per_game: at most N pairs of each game; None: all there are.
        the others: as the fields of `oreo.training.config.TrainConfig`. Without selection and pairs, rows are in the
            order of the data.

    Raises:
        DataError: nothing to learn from; a trajectory longer than `max_length` with overlong="refuse".
        UsageError: see `oreo.data.selection.select`.
    """
    selecting = samples_per_game is not None or balance != "none" or rows in OF_PAIRS
    encoded: list[_Encoded] = []
    read = won = long = turns = other_actions = 0
    for trajectory in trajectories:
        read += 1
        won += trajectory.won
        if not trajectory.steps or (won_only and not trajectory.won):
            continue
        meant = with_imitation(with_reward(trajectory, reward), imitate, imitate_refused)
        pieces, too_long = _pieces(meant, turn_format, max_length, overlong)
        long += too_long
        if rows is RowKind.TURNS:
            pieces = [piece for piece in pieces if piece.imitate.any()]
        if not pieces:
            continue
        learnt = [step for step in trajectory.steps if step.imitate or rows is not RowKind.TURNS]
        turns += len(learnt)
        other_actions += sum(not holds_its_action(step) for step in learnt)
        name, episode = trajectory.game or trajectory.task or trajectory.env_id, None
        if selecting:
            episode = Episode.of(trajectory)
        encoded.append(_Encoded(tuple(pieces), trajectory.won, name, game_of(trajectory), episode))
    if long:
        outcome = "split between turns" if overlong == "split" else "dropped"
        _warn(f"{long} of {read} trajectories have more than {max_length} tokens and were {outcome}")
    if other_actions:
        _warn(
            f"{other_actions} of {turns} turns to learn from would be handed over as another action than the stored "
            'one by the agent so trained: its action is what follows the last "Action:" of a turn or stands in '
            "<action>…</action>, or all of the turn; "
            "store such turns with a line Action: …"
        )
    if not encoded:
        raise DataError(_nothing_to_learn(read, won, long, won_only, max_length))
    if samples_per_game is not None or balance != "none":
        episodes = [trajectory.episode for trajectory in encoded if trajectory.episode is not None]
        chosen = select(episodes, seed=seed, samples_per_game=samples_per_game, balance=balance)
        encoded = [encoded[index] for index in chosen]
    return _as_rows(encoded, rows, pairs_per_game, seed)


def those_meant(trajectories: Any, condition: str) -> Iterable[Trajectory]:
    """The episodes of a buffer, a view of one, or any iterable that a condition means.

    Raises:
        DataError: there are none.
    """
    if hasattr(trajectories, "where"):
        meant = trajectories.where(condition)
    else:
        trajectories = list(trajectories)
        meant = of_trajectories(trajectories, condition)
    if not len(meant):
        raise DataError(f"none of the {len(trajectories)} trajectories is as told (where: {condition})")
    return meant


def _pieces(
    trajectory: Trajectory, turn_format: TurnFormat, max_length: int | None, overlong: str
) -> tuple[list[Encoded], bool]:
    """The trajectory's sequences, none where it is dropped, and whether it was too long."""
    pieces = turn_format.split(trajectory, max_length if overlong == "split" else None)
    if not pieces:  # turns that were cut before they had a token
        return [], False
    if overlong == "refuse":
        check_length(max(pieces, key=len), trajectory, max_length)
        return pieces, False
    if overlong == "split":
        # Its agent's own context had as many beginnings; more are due to `max_length`.
        return pieces, len(pieces) > len({step.context_start for step in trajectory.steps})
    too_long = max_length is not None and max(map(len, pieces)) > max_length
    return ([] if too_long else pieces), too_long


def _nothing_to_learn(read: int, won: int, long: int, won_only: bool, max_length: int | None) -> str:
    """Why no trajectory is left to learn from."""
    if not read:
        return "there are no trajectories to train on; collect some first"
    if won_only and not won:
        return f"none of the {read} trajectories is won, and only won ones are learnt from"
    if long:
        return f"all trajectories have more than {max_length} tokens; raise max_length"
    return f"none of the {read} trajectories has a turn to learn from"


def _as_rows(encoded: Sequence[_Encoded], rows: RowKind, pairs_per_game: int | None, seed: int) -> list[Example]:
    if rows in OF_PAIRS:
        episodes = [trajectory.episode for trajectory in encoded if trajectory.episode is not None]
        both = pairs(episodes, seed=seed, pairs_per_game=pairs_per_game or len(encoded) ** 2)
        examples = [
            Example((encoded[won].pieces, encoded[lost].pieces), True, encoded[won].name, encoded[won].game)
            for won, lost in both
        ]
        return examples if rows is RowKind.PAIRS else _as_step_pairs(examples)
    if rows is RowKind.TURNS:
        return [
            Example(((piece,),), trajectory.won, trajectory.name, trajectory.game)
            for trajectory in encoded
            for piece in trajectory.pieces
        ]
    return [Example((trajectory.pieces,), trajectory.won, trajectory.name, trajectory.game) for trajectory in encoded]


def _as_step_pairs(examples: Sequence[Example]) -> list[Example]:
    """The turns in which pairs part, each once.

    Raises:
        DataError: no pair parts by what its agents said.
    """
    parted: dict[tuple[bytes, bytes], Example] = {}
    for example in examples:
        won, lost = example.trajectories
        if (turns := parting(won, lost)) is not None:
            key = (turns[0].input_ids.tobytes(), turns[1].input_ids.tobytes())
            parted.setdefault(key, dataclasses.replace(example, trajectories=((turns[0],), (turns[1],))))
    if not parted:
        raise DataError(
            f"of {len(examples)} pairs none parts by what its agents said: they begin in different states; collect "
            "several episodes of each game (--per-game), best with --branch"
        )
    return list(parted.values())


def parting(one: Sequence[Encoded], other: Sequence[Encoded]) -> tuple[Encoded, Encoded] | None:
    """Of two trajectories the turns by which they part, and what stands before: nothing behind, no other turn marked.

    None where they do not part, or by what the environment said.
    """
    for ours, theirs in zip(one, other, strict=False):
        both = min(len(ours), len(theirs))
        differing = np.flatnonzero(ours.input_ids[:both] != theirs.input_ids[:both])
        if not len(differing):
            if len(ours) == len(theirs):
                continue
            return None
        at = int(differing[0])
        if not (ours.action_mask[at] and theirs.action_mask[at]):
            return None
        return _turn_of(ours, at), _turn_of(theirs, at)
    return None


def _turn_of(piece: Encoded, at: int) -> Encoded:
    """The sequence up to the end of the turn that the token at `at` is of, which alone is marked."""
    turn = piece.step_start.cumsum()
    chosen = piece.action_mask & (turn == turn[at])
    end = int(np.flatnonzero(chosen)[-1]) + 1
    marked = {name: getattr(piece, name) * chosen for name in ("action_mask", "step_start", "reward", "imitate")}
    return Encoded(**{name: marked.get(name, array)[:end] for name, array in vars(piece).items()})


def _warn(message: str) -> None:
    warnings.warn(message, stacklevel=3)


def refuse_without_reward(examples: Sequence[Example], method: str) -> None:
    """For methods that learn from rewards.

    Raises:
        DataError: no row has a reward: every target would be the 0 that the value begins with.
    """
    if not any(piece.reward.any() for example in examples for piece in example.pieces):
        raise DataError(
            f"none of the {len(examples)} episodes has a reward, so {method} has nothing to learn; collect with an "
            "agent that wins now and then, or on easier games (--reward signed pays lost ones -1)"
        )


def refuse_unknown_tokens(examples: Sequence[Example], vocabulary: int) -> None:
    """For stored tokens, which may be anybody's numbers.

    Args:
        vocabulary: tokens that the model has.

    Raises:
        DataError: it has no such token.
    """
    for example in examples:
        largest = max(int(piece.input_ids.max()) for piece in example.pieces)
        if largest >= vocabulary:
            raise DataError(
                f"the episode of {example.name!r} has the token {largest}, and the model {vocabulary} tokens: its "
                "token_ids are damaged, or it is another model's tokenizer"
            )


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


def with_imitation(trajectory: Trajectory, imitate: str, imitate_refused: bool) -> Trajectory:
    """The trajectory with the turns to imitate that are meant; the others are what these answer to.

    Args: as the fields of `oreo.training.config.TrainConfig`.
    """
    if imitate == "all" and imitate_refused:
        return trajectory

    def meant(step: Step) -> bool:
        by_whom = imitate == "all" or step.actor == imitate
        return step.imitate and by_whom and (imitate_refused or step.action_valid is not False)

    steps = tuple(dataclasses.replace(step, imitate=meant(step)) for step in trajectory.steps)
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
