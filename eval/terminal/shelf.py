"""Episodes that can be turned over one by one while one of them is read: those of a buffer, in the order of a list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oreo.eval.terminal.reading import Reading
from oreo.eval.terminal.replay import view_at
from oreo.trajectory import Trajectory

if TYPE_CHECKING:
    from oreo.data.buffer import TrajectoryBuffer


@dataclass(frozen=True)
class Shelf:
    """Where they stand, and which of them are lost."""

    buffer: TrajectoryBuffer
    numbers: Sequence[int]
    """Of the episodes in the buffer, in the order in which they are shown."""
    won: Sequence[bool]
    """Of each of them."""

    def __len__(self) -> int:
        return len(self.numbers)

    def trajectory(self, place: int) -> Trajectory:
        return self.buffer[int(self.numbers[place])]

    def next(self, place: int, by: int, lost: bool = False) -> int | None:
        """The next place forwards or backwards, the next lost episode if asked; None: nothing comes there."""
        place += by
        while 0 <= place < len(self) and lost and self.won[place]:
            place += by
        return place if 0 <= place < len(self) else None


def whole(trajectory: Trajectory) -> Reading:
    """An episode of which all is there, from its beginning."""
    return Reading(view_at(trajectory, len(trajectory)))


def title(path: Any, number: int) -> str:
    """What an episode is called."""
    return f"{path}, episode {number}"
