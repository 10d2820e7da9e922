"""Buffers made from other buffers: written whole or not at all, and each episode says where it came from.

with new_buffer(Path("runs/won")) as target:
    copy(buffer.where("won"), target)
"""

from __future__ import annotations

import collections
import contextlib
import warnings
from collections.abc import Callable, Hashable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from oreo.data.buffer import TrajectoryBuffer
from oreo.data.filter_words import CAME_FROM, GAME
from oreo.data.making import making
from oreo.data.selection import Episode, game_of_columns
from oreo.data.shards import DamagedWarning
from oreo.data.views import BufferView
from oreo.errors import DataError, UsageError
from oreo.trajectory import Trajectory


@contextlib.contextmanager
def new_buffer(path: Path) -> Iterator[TrajectoryBuffer]:
    """A buffer that is there under its name when the block has ended well, and never before.

    Raises:
        UsageError: something of this name is there already.
        DataError: it cannot be written, or what the block reads is damaged.
    """
    with making(path.expanduser()) as new, _only_whole(), TrajectoryBuffer(new) as buffer:
        yield buffer


@contextlib.contextmanager
def _only_whole() -> Iterator[None]:
    """What is damaged is no warning in the block: a new buffer would lack episodes, and look as if it had all."""
    with warnings.catch_warnings():
        warnings.simplefilter("error", DamagedWarning)
        try:
            yield
        except DamagedWarning as warning:
            line = str(warning).partition("; the rest is read")[0]
            raise DataError(f"{line}; set it aside with `oreo buffer check --repair` first") from None


# Which episodes, and where they came from.


def copy(
    source: BufferView,
    target: TrajectoryBuffer,
    chosen: Callable[[int], bool] | None = None,
    *,
    on_episode: Callable[[], object] | None = None,
) -> int:
    """Append episodes of one buffer to another.

    Args:
        chosen: which, by their number in the view, from 0; None: all.
        on_episode: called after each that was looked at.

    Returns:
        How many were appended.
    """
    count = 0
    source = source.fixed()
    numbers = [number for number, _ in source.numbered("won")]
    for place, (number, episode) in enumerate(zip(numbers, source, strict=True)):
        if chosen is None or chosen(place):
            target.append(came_from(episode, source.path, number))
            count += 1
        if on_episode is not None:
            on_episode()
    return count


def came_from(episode: Trajectory, buffer: Path, number: int) -> Trajectory:
    """The episode with one more entry about where it was: `extra["came_from"]`, the oldest first.

    Args:
        buffer: in which it stood.
        number: as which, from 0.
    """
    before = episode.extra.get(CAME_FROM)
    history = [*(before if isinstance(before, list) else []), {"buffer": str(buffer), "episode": number}]
    return replace(episode, extra={**episode.extra, CAME_FROM: history})


def drawn(source: BufferView, *, seed: int, count: int | None = None, per_game: int | None = None) -> set[int]:
    """Numbers in the view of some of its episodes, drawn without replacement.

    Args:
        count: of all.
        per_game: at most N of each game.

    Raises:
        UsageError: more than there are.
    """
    games = [game_of_columns(*row) for row in source.columns(*GAME)]
    order: list[int] = np.random.default_rng(seed).permutation(len(games)).tolist()
    if per_game is not None:
        of_game: collections.Counter[str] = collections.Counter()
        kept = []
        for number in order:
            of_game[games[number]] += 1
            if of_game[games[number]] <= per_game:
                kept.append(number)
        order = kept
    if count is not None and count > len(order):
        raise UsageError(f"{count} episodes are asked for, and there are {len(order)} to draw from")
    return set(order[:count])


def share_of_games(source: BufferView, share: float, *, seed: int) -> set[int]:
    """Numbers in the view of the episodes of some games: all episodes of a game, or none.

    Args:
        share: of the games, above 0 and below 1.

    Raises:
        UsageError: either part would be empty.
    """
    games = [game_of_columns(*row) for row in source.columns(*GAME)]
    names = sorted(set(games))
    first = round(share * len(names))
    if not 0 < first < len(names):
        raise UsageError(f"a share of {share:g} of {len(names)} games is {first} games; each part needs at least one")
    order = np.random.default_rng(seed).permutation(len(names)).tolist()
    chosen = {names[place] for place in order[:first]}
    return {number for number, game in enumerate(games) if game in chosen}


def firsts(source: BufferView, on_episode: Callable[[], object] | None = None) -> set[int]:
    """Numbers in the view of the episodes in which something happens that has not happened in one before.

    Equal are episodes of one game, all observations, turns and rewards of which are, whoever played them and when.
    """
    seen: set[Hashable] = set()
    numbers = set()
    for number, episode in enumerate(source):
        happened = Episode.of(episode)
        if happened not in seen:
            seen.add(happened)
            numbers.add(number)
        if on_episode is not None:
            on_episode()
    return numbers
