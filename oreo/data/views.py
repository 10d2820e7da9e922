"""The episodes of a buffer that a condition means: `buffer.where("won and steps < 20")`, without reading the others.

A view holds numbers of rows and no episodes. Which these are is found in the columns that the condition is about, when
it is first asked, and again when the buffer has changed since.
"""

from __future__ import annotations

import bisect
import itertools
import operator
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from oreo.data.filter_words import Reader
from oreo.data.filters import Condition, equal_to, parse
from oreo.data.records import Damaged
from oreo.data.shards import ShardFile, warn_of
from oreo.data.summary import summary
from oreo.errors import UsageError
from oreo.trajectory import Trajectory

if TYPE_CHECKING:
    from oreo.data.buffer import File, TrajectoryBuffer

Rows: TypeAlias = list[tuple["File", np.ndarray]]
"""Of each file the numbers of the rows that are meant, ascending [N] int64."""
_SHUFFLED_AT_ONCE = 1024
"""Episodes that a shuffled pass holds."""


def place_of(index: int, total: int, of: str) -> int:
    """The number from 0 that an index means, which may count from the end.

    Raises:
        TypeError: it is no whole number.
        IndexError: there is none of it.
    """
    try:
        number = operator.index(index)
    except TypeError:
        raise TypeError(
            f"an index is a whole number, got {index!r:.40}; of several episodes, `where` or itertools.islice"
        ) from None
    if not -total <= number < total:
        raise IndexError(f"index {number} of {of}")
    return number % total


class BufferView:
    """Some episodes of a buffer, in its order: it iterates, counts and indexes as the buffer does, and is read only.

    view = buffer.where("won").where("wins(game) < 0.5")
    len(view), view[0], view.info()
    oreo.train(view, method="rejection", output="checkpoints/won")
    """

    def __init__(self, buffer: TrajectoryBuffer, conditions: tuple[Condition, ...] = ()) -> None:
        self.buffer, self.conditions = buffer, conditions
        self._found: tuple[object, Rows] | None = None
        """The state of the buffer, and what was found in it then; a state of None is forever."""

    def __repr__(self) -> str:
        return f"BufferView({str(self.path)!r}, {self.condition!r}, {len(self)} episodes)"

    @property
    def path(self) -> Path:
        """The folder of the buffer."""
        return self.buffer.path

    @property
    def condition(self) -> str:
        """What its episodes have in common; with several conditions, each counts groups among what the one before
        has left."""
        return " | where ".join(condition.text for condition in self.conditions)

    def where(self, condition: str | Condition = "", /, **equal: Any) -> BufferView:
        """Those of them that are as told; see `TrajectoryBuffer.where`."""
        return BufferView(self.buffer, self.conditions + conditions_of(condition, equal))

    def fixed(self) -> BufferView:
        """A view that stays at the episodes of now, whatever is appended to the buffer."""
        view = BufferView(self.buffer, self.conditions)
        view._found = None, self._rows()
        return view

    def __len__(self) -> int:
        return sum(len(numbers) for _, numbers in self._rows())

    def __iter__(self) -> Iterator[Trajectory]:
        for file, numbers in self._rows():
            yield from readable(file.trajectories(None if self._whole else numbers.tolist()))

    def __getitem__(self, index: int) -> Trajectory:
        rows = self._rows()
        ends = list(itertools.accumulate(len(numbers) for _, numbers in rows))
        total = ends[-1] if ends else 0
        index = place_of(index, total, f"{total} episodes")
        place = bisect.bisect_right(ends, index)
        file, numbers = rows[place]
        return self.buffer.item(file, int(numbers[index - ends[place] + len(numbers)]))

    def shuffled(self, seed: int) -> Iterator[Trajectory]:
        """All of them once, in an order that is drawn, never more than about a thousand in memory.

        Parts of files (some hundred episodes that stand together) are drawn in an order, and the episodes of several
        parts are mixed. Two episodes that stand together so come nearer to each other than chance would have it.
        """
        rng = np.random.default_rng(seed)
        blocks = [(file, block) for file, numbers in self._rows() for block in _blocks(file, numbers)]
        pool: list[Trajectory] = []
        for place in rng.permutation(len(blocks)):
            file, block = blocks[place]
            pool += readable(file.trajectories(block.tolist()))
            while len(pool) > _SHUFFLED_AT_ONCE - _BLOCK:
                yield _drawn(pool, rng)
        while pool:
            yield _drawn(pool, rng)

    def columns(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """These columns of each of them; see `TrajectoryBuffer.columns`."""
        for file, numbers in self._rows():
            yield from (row for _, row in _columns_of(file, names, None if self._whole else numbers))

    def numbered(self, *names: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """(its number in the buffer, these columns) of each of them."""
        before = 0
        if not self.conditions and self._found is None:
            # The first episodes do not wait for the footers of all files.
            for file in self.buffer.readable_files():
                for number, row in _columns_of(file, names, None):
                    yield before + number, row
                before += self.buffer.count(file)
            return
        for file, numbers in self._rows():
            for number, row in _columns_of(file, names, None if self._whole else numbers):
                yield before + number, row
            before += self.buffer.count(file)

    def info(self) -> dict[str, Any]:
        """As `TrajectoryBuffer.info`, of these episodes."""
        facts = {"path": str(self.path), "where": self.condition}
        return facts | summary(self.columns)

    # Finding.

    @property
    def _whole(self) -> bool:
        """Whether it is all rows of its files that are meant."""
        return not self.conditions and (self._found is None or self._found[0] is not None)

    def _rows(self) -> Rows:
        if self._found is not None and self._found[0] is None:
            return self._found[1]
        files = self.buffer.readable_files()
        state = [(file.path, self.buffer.count(file)) for file in files]
        if self._found is None or self._found[0] != state:
            rows: Rows = [(file, np.arange(count)) for file, (_, count) in zip(files, state, strict=True)]
            for condition in self.conditions:
                rows = _meant(rows, condition)
            self._found = state, rows
        return self._found[1]


_BLOCK = 128
"""Episodes that are read together: what a shard unpacks at once."""


def _blocks(file: File, numbers: np.ndarray) -> list[np.ndarray]:
    """Rows that are read together. A journal is only read as a whole."""
    size = _BLOCK if isinstance(file, ShardFile) else max(1, len(numbers))
    return [numbers[start : start + size] for start in range(0, len(numbers), size)]


def _drawn(pool: list[Trajectory], rng: np.random.Generator) -> Trajectory:
    at = int(rng.integers(len(pool)))
    pool[at], pool[-1] = pool[-1], pool[at]
    return pool.pop()


def conditions_of(condition: str | Condition, equal: dict[str, Any]) -> tuple[Condition, ...]:
    """What `where` was told.

    Raises:
        UsageError: it is no condition, or says nothing.
    """
    if not isinstance(condition, str | Condition):
        raise UsageError(f"where() takes a text such as 'won and steps < 20', got {condition!r:.80}")
    given = condition if isinstance(condition, Condition) else parse(condition) if condition.strip() else None
    same = equal_to(equal)
    return tuple(told for told in (given, same) if told is not None and told.values)


def _meant(rows: Rows, condition: Condition) -> Rows:
    """The rows that a condition means, among these."""
    reader = Reader(condition.values)
    if reader.groups:
        for file, numbers in rows:
            for _, row in _columns_of(file, reader.columns, numbers):
                reader.count(row)
    return [
        (
            file,
            np.array(
                [
                    number
                    for number, row in _columns_of(file, reader.columns, numbers)
                    if condition.test(reader.read(row))
                ],
                dtype=np.int64,
            ),
        )
        for file, numbers in rows
    ]


def _columns_of(file: File, names: Sequence[str], numbers: np.ndarray | None) -> Iterator[tuple[int, tuple[Any, ...]]]:
    """(number, these columns) of rows of a file; None: of all. Where it is damaged, a warning, and what can be read."""
    if numbers is not None and not len(numbers):
        return
    try:
        yield from file.columns(names, None if numbers is None else numbers.tolist())
    except Damaged as error:
        warn_of(error)


def readable(trajectories: Iterator[Trajectory]) -> Iterator[Trajectory]:
    """What can be read of a file up to where it is damaged, with a warning there."""
    try:
        yield from trajectories
    except Damaged as error:
        warn_of(error)


def of_trajectories(trajectories: Sequence[Trajectory], condition: str) -> list[Trajectory]:
    """Those of some episodes in memory that a condition means.

    Raises:
        UsageError: it is none.
        DataError: what is given is no episode that could be stored.
    """
    from oreo.data.records import column_of, to_record

    parsed = parse(condition)
    reader = Reader(parsed.values)
    records = map(to_record, trajectories)
    rows = [[column_of(record, name) for name in reader.columns] for record in records]
    for row in rows:
        reader.count(row)
    return [one for one, row in zip(trajectories, rows, strict=True) if parsed.test(reader.read(row))]
