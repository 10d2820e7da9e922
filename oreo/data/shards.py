"""Shards: the Parquet files of a buffer. Written whole or not at all, read by row groups, never changed.

What is read is checked first: the checksums of the footer and of the columns (oreo.data.checksums), the types of the
columns, and that their numbers add up. A row group that is damaged is passed over with a warning; the rest is read.
"""

from __future__ import annotations

import bisect
import contextlib
import errno
import itertools
import os
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar

from oreo.data.checksums import check_group, mark_is_damaged, read_checksums, with_checksums
from oreo.data.records import FORMAT, Damaged, NewerVersion, check_version
from oreo.errors import DataError
from oreo.trajectory import Trajectory

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

T = TypeVar("T")

SUFFIX = ".parquet"
_ROWS_OF_A_GROUP = 128
"""What reading holds at once."""
_MOST_BYTES = 8 << 30
"""A row group that says it is larger than this unpacked is not ours: the largest journal is a hundredth of it."""
_MOST_VALUES = 1 << 20, 64
"""Of a column in a row group, where the file is small and for each of its bytes: a run of equal steps takes no room in
a file, and half a kilobyte each in memory. Of lists within steps it is 16 times as much."""


class ShardFile:
    """A shard, open only while it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._recent: tuple[int, pa.Table] | None = None
        """The row group that `item` read last, since the next one is likely to be there too."""

    @cached_property
    def _groups(self) -> list[range]:
        """The rows of each row group."""
        with _opened(self.path) as shard:
            return shard.groups

    @property
    def count(self) -> int:
        """Episodes, as the footer has it: those in row groups that are damaged are among them."""
        return self._groups[-1].stop if self._groups else 0

    def columns(
        self, names: Sequence[str], numbers: Sequence[int] | None = None
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """(number, these columns) of each row, nothing else decoded; see `oreo.data.tables.rows_of`.

        With numbers (ascending), of those rows; of a row group without any, nothing is read.
        """
        wanted = None if numbers is None else set(numbers)
        with _opened(self.path) as shard:
            groups = [group for group, rows in enumerate(shard.groups) if numbers is None or _among(numbers, rows)]
            for group, rows in self._readable(shard, groups, lambda group: shard.rows(group, names)):
                for number, row in zip(shard.groups[group], rows, strict=True):
                    if wanted is None or number in wanted:
                        yield number, row

    def trajectories(self, numbers: Sequence[int] | None = None) -> Iterator[Trajectory]:
        """All, or those with these numbers (ascending); of a row group without any, nothing is read."""
        with _opened(self.path) as shard:
            if numbers is None:
                wanted: dict[int, list[int] | None] = dict.fromkeys(range(len(shard.groups)))
            else:
                wanted = {group: among for group, rows in enumerate(shard.groups) if (among := _among(numbers, rows))}
            for _, trajectories in self._readable(
                shard, wanted, lambda group: shard.trajectories(group, wanted[group])
            ):
                yield from trajectories

    def item(self, index: int) -> Trajectory:
        """Number `index`.

        Raises:
            Damaged: its row group is.
        """
        group = bisect.bisect_right([rows.stop for rows in self._groups], index)
        if self._recent is None or self._recent[0] != group:
            with _opened(self.path) as shard:
                self._recent = group, shard.read(group)
        with naming(f"{self.path}, episode {index}"):
            (trajectory,) = _trajectories(self._recent[1].slice(index - self._groups[group].start, 1))
        return trajectory

    def forget(self) -> None:
        """Let go of what `item` has read."""
        self._recent = None

    def damage(self) -> list[Damaged]:
        """Why not all of it can be read, for each row group or for the whole file; all of it is read for this."""
        try:
            with _opened(self.path) as shard:
                errors = [error for error in map(shard.damage, range(len(shard.groups))) if error]
                if mark_is_damaged(shard.file):
                    errors.append(Damaged(f"{self.path}: the mark of its checksums is not as it was written"))
                shard.file.seek(0)
                if shard.file.read(len(_BEGINNING)) != _BEGINNING:
                    errors.append(Damaged(f"{self.path}: its beginning is not as it was written"))
                return errors
        except Damaged as error:
            return [error]

    def readable(self) -> list[Trajectory]:
        """What is not damaged."""
        episodes: list[Trajectory] = []
        with contextlib.suppress(Damaged), _opened(self.path) as shard:
            for group in range(len(shard.groups)):
                with contextlib.suppress(Damaged):
                    episodes += shard.trajectories(group)
        return episodes

    @staticmethod
    def _readable(shard: _Shard, groups: Iterable[int], read: Callable[[int], T]) -> Iterator[tuple[int, T]]:
        """(group, what `read` gives for it); groups that are damaged are named in a warning and passed over."""
        for group in groups:
            try:
                part = read(group)
            except Damaged as error:
                warn_of(error)
                continue
            yield group, part


def _among(numbers: Sequence[int], rows: range) -> list[int]:
    """Those of ascending numbers that are in a range, counted from its beginning."""
    start, stop = bisect.bisect_left(numbers, rows.start), bisect.bisect_left(numbers, rows.stop)
    return [number - rows.start for number in numbers[start:stop]]


_BEGINNING = b"PAR1"
"""Of every Parquet file: no checksum covers it, pyarrow reads on without it, and other tools refuse the file."""


class DamagedWarning(UserWarning):
    """Of a part of a buffer that is passed over."""


def warn_of(error: Damaged) -> None:
    """The rest goes on, and this is what it goes on without."""
    advice = "" if isinstance(error, NewerVersion) else ". `oreo buffer check` says more, --repair sets it aside"
    warnings.warn(DamagedWarning(f"{error}; the rest is read{advice}"), stacklevel=3)


@dataclass(frozen=True)
class _Shard:
    """An open shard whose footer and schema have been looked at."""

    path: Path
    file: IO[bytes]
    parquet: pq.ParquetFile
    checksums: list[int] | None
    groups: list[range]

    def read(self, group: int, names: Iterable[str] | None = None) -> pa.Table:
        """Columns of a row group, or all of them. "steps.cut" is one field of the steps."""
        from oreo.data.tables import SCHEMA, completed

        metadata = self.parquet.metadata
        wanted = set(SCHEMA.names if names is None else names)
        with self._naming(group):
            paths = {leaf: metadata.schema.column(leaf).path for leaf in range(metadata.num_columns)}
            leaves = [leaf for leaf, path in paths.items() if wanted & _names_of(path)]
            if self.checksums is not None:
                check_group(self.file, metadata, self.checksums, group, leaves)
            table = self.parquet.read_row_group(group, columns=[paths[leaf] for leaf in leaves])
            if table.num_rows != len(self.groups[group]):
                raise DataError(f"{table.num_rows} rows in place of {len(self.groups[group])}")
            return completed(table)

    def rows(self, group: int, names: Sequence[str]) -> list[tuple[Any, ...]]:
        """These columns of a row group, row by row."""
        from oreo.data.tables import rows_of

        table = self.read(group, {*names, "length"})  # a column that is there in every version
        with self._naming(group):
            return rows_of(table, names)

    def trajectories(self, group: int, numbers: Sequence[int] | None = None) -> list[Trajectory]:
        """Those of a row group, or the ones with these numbers among them."""
        table = self.read(group)
        with self._naming(group):
            if numbers is not None and len(numbers) < table.num_rows:
                table = table.take(numbers)
            return _trajectories(table)

    def damage(self, group: int) -> Damaged | None:
        try:
            self.trajectories(group)
        except Damaged as error:
            return error
        return None

    def _naming(self, group: int) -> contextlib.AbstractContextManager[None]:
        rows = self.groups[group]
        return naming(f"{self.path}, episodes {rows.start} to {rows.stop - 1}")


def _trajectories(table: pa.Table) -> list[Trajectory]:
    from oreo.data.tables import from_batch

    return [trajectory for batch in table.to_batches() for trajectory in from_batch(batch)]


def _names_of(path: str) -> set[str]:
    """What a leaf column is called: "steps" and "steps.cut" for steps.list.element.cut."""
    parts = path.split(".")
    return {parts[0], f"{parts[0]}.{parts[3]}"} if len(parts) > 3 else {parts[0]}


@contextlib.contextmanager
def naming(where: object) -> Iterator[None]:
    """Whatever is wrong inside becomes one line that says where.

    Raises:
        Damaged: the data are.
        DataError: they may be whole, and cannot be read: want of memory or rights, say. Going on without them would be
            wrong.
    """
    try:
        yield
    except Damaged:
        raise
    except MemoryError as error:
        raise DataError(f"{where}: it does not fit into memory") from error
    except Exception as error:  # of a broken file pyarrow says much, and not only with its own exceptions
        if isinstance(error, OSError) and error.errno not in (None, errno.EIO, errno.ENOENT):
            raise DataError(f"{where}: it cannot be read ({error.strerror})") from error
        line = (str(error) or type(error).__name__).splitlines()[0]
        raise Damaged(f"{where}: damaged ({line:.200})") from error


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[_Shard]:
    """Open a shard after a look at what it says it is.

    Raises:
        Damaged: it is not what was written, or never was a shard.
        NewerVersion: written by a newer oreo.
    """
    with contextlib.ExitStack() as stack:
        with naming(path):
            file = stack.enter_context(path.open("rb"))
            shard = _looked_at(path, file)
        yield shard


def _looked_at(path: Path, file: IO[bytes]) -> _Shard:
    import pyarrow.parquet as pq

    from oreo.data.tables import TEXT_COLUMNS, check_schema

    checksums = read_checksums(file)
    file.seek(0)
    parquet = pq.ParquetFile(file, page_checksum_verification=True)
    described = parquet.schema_arrow.metadata or {}
    if described.get(b"oreo.format") != FORMAT.encode():
        raise DataError("it is a Parquet file, but not one of trajectories")
    check_version(path, int(described.get(b"oreo.version", b"0")))
    check_schema(parquet.schema_arrow)
    groups = _groups(parquet.metadata, os.fstat(file.fileno()).st_size)
    if checksums is not None and len(checksums) != len(groups) * parquet.metadata.num_columns:
        raise DataError("it has checksums for other columns than its own")
    # Texts as numbers into a dictionary: a long one that a small file repeats would not fit into memory otherwise.
    leaves = [parquet.metadata.schema.column(leaf).path for leaf in range(parquet.metadata.num_columns)]
    texts = [path for path in leaves if path.replace(".list.element", "") in TEXT_COLUMNS]
    parquet = pq.ParquetFile(
        file, metadata=parquet.metadata, page_checksum_verification=True, read_dictionary=texts, pre_buffer=False
    )
    return _Shard(path, file, parquet, checksums, groups)


def _groups(metadata: Any, size: int) -> list[range]:
    """The rows of each row group, once their number and size are those of a shard."""
    described = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    sizes = [group.num_rows for group in described]
    if min(sizes, default=0) < 0 or sum(sizes) != metadata.num_rows:
        raise DataError(f"its row groups have {sum(sizes)} rows, and it says it has {metadata.num_rows}")
    if any(not 0 <= group.total_byte_size <= _MOST_BYTES for group in described):
        raise DataError(f"a row group says it has more than {_MOST_BYTES >> 30} GiB unpacked")
    fewest, times = _MOST_VALUES
    for group in described:
        for column in map(group.column, range(metadata.num_columns)):
            most = max(fewest, times * size) * (16 if column.path_in_schema.count(".list.") > 1 else 1)
            if column.num_values > most:
                raise DataError(
                    f"the column {column.path_in_schema} says it has {column.num_values:,} values in {size:,} bytes"
                )
    ends = list(itertools.accumulate(sizes))
    return [range(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def write_shard(table: pa.Table, file: Path) -> None:
    """Under a hidden name first, so that a shard is either there and complete or not there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, row_group_size=_ROWS_OF_A_GROUP, compression="zstd", write_page_checksum=True)
    written = sink.getvalue()
    hidden = file.with_name(f".{file.name}.new")
    with hidden.open("wb") as opened:
        opened.writelines(with_checksums(memoryview(written), pq.read_metadata(pa.BufferReader(written))))
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(hidden, file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
