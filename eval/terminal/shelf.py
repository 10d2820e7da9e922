"""Episodes that can be turned over one by one while one is read: those of a list, or pairs of the same game."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from oreo.eval.terminal.reading import Reading
from oreo.eval.terminal.replay import view_at
from oreo.trajectory import Trajectory

if TYPE_CHECKING:
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.data.views import BufferView


@dataclass(frozen=True)
class Shelf:
    """Where they stand, and which of them are worth a look."""

    buffers: tuple[TrajectoryBuffer, ...]
    """One, or two for pairs."""
    numbers: Sequence[tuple[int, ...]]
    """For each place the number of its episode in each buffer."""
    marked: Sequence[bool]
    """Which places `n` goes to."""
    mark: str = "lost episode"
    """What these are."""

    def __len__(self) -> int:
        return len(self.numbers)

    def trajectories(self, place: int) -> list[Trajectory]:
        """The episode at a place, or both."""
        return [buffer[number] for buffer, number in zip(self.buffers, self.numbers[place], strict=True)]

    def next(self, place: int, by: int, marked: bool = False) -> int | None:
        """The next place forwards or backwards, the next marked one if asked; None: nothing comes there."""
        place += by
        while 0 <= place < len(self) and marked and not self.marked[place]:
            place += by
        return place if 0 <= place < len(self) else None


def of_view(view: BufferView) -> Shelf:
    """The episodes of a view; lost ones are marked."""
    rows = list(view.numbered("won"))
    return Shelf((view.buffer,), [(number,) for number, _ in rows], [not won for _, (won,) in rows])


def pairs(view: BufferView, other: TrajectoryBuffer) -> Shelf:
    """Each episode of a view beside one of the same game in another buffer, the first with the first, the second with
    the second; marked are games that one has won and the other lost.
    """
    from oreo.data.filter_words import GAME
    from oreo.data.selection import game_of_columns

    theirs: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    for number, (won, *game) in other.where("").numbered("won", *GAME):
        theirs[game_of_columns(*game)].append((number, won))
    numbers, marked = [], []
    for number, (won, *game) in view.numbered("won", *GAME):
        if beside_it := theirs[game_of_columns(*game)]:
            beside, won_beside = beside_it.pop(0)
            numbers.append((number, beside))
            marked.append(won != won_beside)
    return Shelf((view.buffer, other), numbers, marked, "game that one won and the other lost")


def whole(trajectory: Trajectory) -> Reading:
    """An episode of which all is there, from its beginning."""
    return Reading(view_at(trajectory, len(trajectory)))
