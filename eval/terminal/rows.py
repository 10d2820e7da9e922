"""The episodes of a buffer as rows of a table, from its columns alone: no step is read but for the values in sight.

rows = Rows(buffer.where("won"))
rows.read(50); rows.read()        # a first screen, then all
order = rows.order("steps"); rows.find("apple", order, 0)
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from oreo.eval.terminal.charts import sparkline
from oreo.text import one_line

if TYPE_CHECKING:
    from oreo.data.views import BufferView


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    name: str
    stored: str
    """As it is called in the buffer; empty for the number."""
    width: int
    """Cells; 0: what the others leave."""
    right: bool = False


COLUMNS = (
    Column("no", "", 6, right=True),
    Column("", "won", 1),
    Column("steps", "length", 6, right=True),
    Column("return", "episode_return", 7, right=True),
    Column("type", "task_type", 14),
    Column("task", "task", 0),
    Column("agent", "agent", 18),
    Column("game", "game", 22),
    Column("seed", "seed", 6, right=True),
)
_STORED = tuple(column.stored for column in COLUMNS if column.stored)
_WON = _STORED.index("won")
_TEXTS = tuple(_STORED.index(name) for name in ("task", "task_type", "game", "agent"))
VALUES = 12
"""Cells of an episode's values."""
_MOST_VALUES = 4096
"""Sparklines that are kept."""


class Rows:
    """What is shown of each episode. Rows are read in the order of the buffer, and stay as they are."""

    def __init__(self, view: BufferView) -> None:
        self.view = view
        self.numbers: list[int] = []
        """Of each row, the episode's number in the buffer."""
        self.cells: list[tuple[Any, ...]] = []
        self.complete = False
        self._coming: Iterator[tuple[int, tuple[Any, ...]]] = view.numbered(*_STORED)
        self._words: list[str] = []
        self._values: dict[int, str] = {}

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, count: int | None = None) -> int:
        """Read the next rows, all where `count` is None; returns how many came."""
        before = len(self.numbers)
        for number, row in itertools.islice(self._coming, count):
            self.numbers.append(number)
            self.cells.append(row)
        came = len(self.numbers) - before
        self.complete = count is None or came < count
        return came

    def cell(self, row: int, column: Column) -> str:
        """What stands in a cell, clean and in one line."""
        if not column.stored:
            return str(self.numbers[row])
        value = self.cells[row][_STORED.index(column.stored)]
        if column.stored == "won":
            return "✓" if value else "✗"
        return "" if value is None else f"{value:g}" if isinstance(value, float) else one_line(str(value))

    def won(self, row: int) -> bool:
        return bool(self.cells[row][_WON])

    def order(self, column: Column, reverse: bool = False) -> list[int]:
        """Rows by a column; equal ones as they stand in the buffer, and those without a value last."""
        if not column.stored:
            return list(range(len(self)))[:: -1 if reverse else 1]
        at = _STORED.index(column.stored)
        valued = [row for row in range(len(self)) if self.cells[row][at] is not None]
        without = [row for row in range(len(self)) if self.cells[row][at] is None]
        return sorted(valued, key=lambda row: self.cells[row][at], reverse=reverse) + without

    def find(self, text: str, order: Sequence[int], start: int, by: int = 1) -> int | None:
        """The place in `order`, from `start` on and round, of a row that contains a text; None: no row does."""
        wanted = text.casefold()
        for row in range(len(self._words), len(self)):
            words = [str(self.cells[row][at]) for at in _TEXTS]
            self._words.append(
                "\n".join([*words, "won" if self.won(row) else "lost", str(self.numbers[row])]).casefold()
            )
        count = len(order)
        return next(
            (
                place % count
                for place in range(start, start + by * count, by)
                if wanted in self._words[order[place % count]]
            ),
            None,
        )

    def find_lost(self, order: Sequence[int], start: int, by: int = 1) -> int | None:
        """As `find`, of lost episodes and not round."""
        places = range(start, len(order) if by > 0 else -1, by)
        return next((place for place in places if not self.won(order[place])), None)

    def values(self, row: int) -> str | None:
        """The values of an episode's states as a sparkline; None: not read yet."""
        return self._values.get(row)

    def read_values(self, rows: Sequence[int]) -> None:
        """Read the values of some rows, those in sight; of many that were, some are forgotten."""
        missing = [row for row in rows if row not in self._values]
        if not missing:
            return
        if len(self._values) > _MOST_VALUES:
            self._values.clear()
        for row, values in zip(missing, self._stored_values(missing), strict=True):
            self._values[row] = sparkline(sampled(values, VALUES))

    def _stored_values(self, rows: Sequence[int]) -> list[list[float | None]]:
        wanted = sorted(self.numbers[row] for row in rows)
        values = {number: list(row) for number, (row,) in self.view.buffer.columns_at(wanted, "steps.value")}
        return [values.get(self.numbers[row], []) for row in rows]


def sampled(values: Sequence[float | None], count: int) -> list[float | None]:
    """At most so many of the values, the first and the last among them, the others evenly between."""
    if len(values) <= count:
        return list(values)
    return [values[round(at * (len(values) - 1) / (count - 1))] for at in range(count)]
