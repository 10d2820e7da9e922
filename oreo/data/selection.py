"""Which of the stored episodes a run learns from, and in which pairs (arXiv 2412.16145, appendix A.1).

Everything here is a function of (seed, the episodes) and not of the order in which these stand in the buffer: each
gets a rank, drawn by hashing the seed with what happened in it, and the first by rank are taken. So what is kept of a
game depends on that game's episodes alone, and keeping one more keeps all the others.

Nothing here knows tokens; oreo.training.batches encodes what was selected.
"""

from __future__ import annotations

import collections
import hashlib
import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from oreo.errors import DataError, UsageError
from oreo.trajectory import Trajectory


@dataclass(frozen=True)
class Episode:
    """What selection looks at."""

    game: str
    won: bool
    key: str
    """Says what happened. Episodes with equal keys are the same to any training."""

    @classmethod
    def of(cls, trajectory: Trajectory) -> Episode:
        """Two episodes are of one game if name, else task, else seed of their reset are equal, in one environment."""
        content = [
            (
                step.observation,
                step.text,
                step.reward,
                step.imitate,
                step.context_start,
                # Said only where it is so, for what is selected from the episodes of before not to change.
                *(("on",) * step.continues_message),
                *(("cut",) * step.cut),
            )
            for step in trajectory.steps
        ]
        return cls(game_of(trajectory), trajectory.won, _digest(trajectory.won, content))


def game_of(trajectory: Trajectory) -> str:
    """What several episodes of one game have in common; see `Episode.of`."""
    return game_of_columns(trajectory.env_id, trajectory.game, trajectory.task, trajectory.seed)


def game_of_columns(env_id: str, game: str, task: str, seed: int | None) -> str:
    """The same, from what is stored in columns of these names."""
    return f"{env_id} {game or task or f'seed {seed}'}"


def select(
    episodes: Sequence[Episode], *, seed: int, samples_per_game: int | None = None, balance: str = "none"
) -> list[int]:
    """Which episodes to keep, as indices ordered by game.

    Args:
        episodes: all there are.
        seed: of the draw.
        samples_per_game: keep at most N of each game.
        balance: "game": as many won as lost ones of each game (with samples_per_game, at most half of that of either);
            a game with one outcome only is left out. "all": as many won as lost ones over all games, after
            samples_per_game. "none": whatever there is.

    Raises:
        UsageError: options that leave nothing whatever the data.
        DataError: nothing is left.
    """
    if balance == "game" and samples_per_game == 1:
        raise UsageError('samples_per_game is 1, of which balance="game" keeps none; give 2 or more, or balance="all"')
    ranks = _ranks(episodes, seed)
    games = _by_game(episodes, ranks)
    if balance == "game":
        kept = []
        for won, lost in games.values():
            most = min(len(won), len(lost), len(episodes) if samples_per_game is None else samples_per_game // 2)
            kept += won[:most] + lost[:most]
    else:
        kept = [
            index
            for won, lost in games.values()
            for index in sorted(won + lost, key=ranks.__getitem__)[:samples_per_game]
        ]
    if balance == "all":
        both = [sorted((i for i in kept if episodes[i].won == won), key=ranks.__getitem__) for won in (True, False)]
        chosen = {index for side in both for index in side[: min(map(len, both))]}
        kept = [index for index in kept if index in chosen]
    if not kept and episodes:
        what = "no game has both" if balance == "game" else "there are not both"
        raise DataError(
            f"{what} a won and a lost episode among {_count(episodes)}, and balance={balance!r} takes equal numbers; "
            "collect several episodes of each game"
        )
    return kept


def pairs(episodes: Sequence[Episode], *, seed: int, pairs_per_game: int) -> list[tuple[int, int]]:
    """(won, lost) pairs of one game each, for DPO, as indices ordered by game.

    At most `pairs_per_game` of all a game has, without replacement: no pair comes twice, while an episode may be in
    several. (The paper caps ALFWorld, with 5 rollouts of a game, at 5 pairs; were episodes used up, there could be 2.)
    Equal episodes count as one: their pairs would be equal, too.

    Raises:
        DataError: no game has both a won and a lost episode.
    """
    first: dict[Episode, int] = {}
    for index, episode in enumerate(episodes):
        first.setdefault(episode, index)
    different = list(first)
    ranks = _ranks(different, seed)
    chosen = []
    for won, lost in _by_game(different, ranks).values():
        every = itertools.product(won, lost)
        few = sorted(every, key=lambda pair: _digest(seed, ranks[pair[0]], ranks[pair[1]]))[:pairs_per_game]
        chosen += [(first[different[winner]], first[different[loser]]) for winner, loser in few]
    if not chosen:
        raise DataError(
            f"no game has both a won and a lost episode among {_count(episodes)}, and DPO learns from such pairs; "
            "collect several episodes of each game"
        )
    return chosen


def _ranks(episodes: Sequence[Episode], seed: int) -> list[str]:
    """For each episode a text to sort by. Equal episodes are told apart by number, so that each has its own chance."""
    seen: collections.Counter[tuple[str, str]] = collections.Counter()
    ranks = []
    for episode in episodes:
        same = (episode.game, episode.key)
        ranks.append(_digest(seed, *same, seen[same]))
        seen[same] += 1
    return ranks


def _by_game(episodes: Sequence[Episode], ranks: Sequence[str]) -> dict[str, tuple[list[int], list[int]]]:
    """game -> (won, lost), each by rank; games by name."""
    games: dict[str, tuple[list[int], list[int]]] = {}
    for index in sorted(range(len(episodes)), key=lambda i: (episodes[i].game, ranks[i])):
        won, lost = games.setdefault(episodes[index].game, ([], []))
        (won if episodes[index].won else lost).append(index)
    return games


def _digest(*content: object) -> str:
    return hashlib.sha256(repr(content).encode("utf-8", "surrogatepass")).hexdigest()


def _count(episodes: Iterable[Episode]) -> str:
    outcomes = [episode.won for episode in episodes]
    return f"{len(outcomes)} episodes ({sum(outcomes)} won)"
