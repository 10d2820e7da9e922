"""Shards: the Parquet files of a buffer. Written whole or not at all, read by row groups, never changed."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo.errors import DataError
from oreo.trajectory import Trajectory

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

SUFFIX = ".parquet"
_ROWS_OF_A_GROUP = 128
"""What reading holds at once."""


@contextlib.contextmanager
def naming(file: Path) -> Iterator[None]:
    """Whatever pyarrow says about a broken file becomes one line that names it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError, json.JSONDecodeError) as error:
        line = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{file} is damaged ({line}); restore it, or remove it and its episodes") from error


def open_shard(file: Path) -> pq.ParquetFile:
    """Open a file after a look at what it says it is.

    Raises:
        DataError: damaged, or not a shard of ours.
    """
    import pyarrow.parquet as pq

    from oreo.data.records import ADDED, FORMAT, SCHEMA

    with naming(file):
        shard = pq.ParquetFile(file, page_checksum_verification=True)
        metadata = {key.decode(): value.decode() for key, value in (shard.schema_arrow.metadata or {}).items()}
        if metadata.get("oreo.format") != FORMAT:
            raise DataError(f"{file} is a Parquet file, but not one of trajectories")
        check_version(file, int(metadata.get("oreo.version", "0")))
        missing = set(SCHEMA.names) - set(ADDED) - set(shard.schema_arrow.names)
        if missing:
            raise DataError(f"{file} lacks the columns {', '.join(sorted(missing))}")
    return shard


def read_columns(file: Path, names: list[str]) -> list[tuple[Any, ...]]:
    """These columns of all rows, nothing else decoded."""
    with naming(file):
        table = _completed(open_shard(file).read(columns=names))
        return list(zip(*(table.column(name).to_pylist() for name in names), strict=True))


def _completed(table: pa.Table) -> pa.Table:
    """With the columns that an earlier version lacks."""
    import pyarrow as pa

    from oreo.data.records import ADDED, SCHEMA

    for name, value in ADDED.items():
        if name not in table.schema.names:
            table = table.append_column(SCHEMA.field(name), pa.array([value] * table.num_rows, pa.string()))
    return table


def read_group(file: Path, shard: pq.ParquetFile, group: int, equal: dict[str, Any]) -> list[Trajectory]:
    """The trajectories of a row group whose columns are `equal`; the rest of their columns is not decoded."""
    from oreo.data.records import from_batch

    with naming(file):
        if equal:
            columns = _completed(shard.read_row_group(group, columns=list(equal)))
            match = [all(row[name] == value for name, value in equal.items()) for row in columns.to_pylist()]
            if not any(match):
                return []
        table = _completed(shard.read_row_group(group))
        if equal:
            import pyarrow as pa

            table = table.filter(pa.array(match))
        return [trajectory for batch in table.to_batches() for trajectory in from_batch(batch)]


def write_shard(table: pa.Table, file: Path) -> None:
    """Under a hidden name first, so that a shard is either there and complete or not there."""
    import pyarrow.parquet as pq

    hidden = file.with_name(f".{file.name}.new")
    with hidden.open("wb") as opened:
        pq.write_table(table, opened, row_group_size=_ROWS_OF_A_GROUP, compression="zstd", write_page_checksum=True)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(hidden, file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def check_version(file: Path, version: int) -> None:
    from oreo.data.records import VERSION

    if version > VERSION:
        raise DataError(f"{file} has schema version {version}, this oreo reads up to {VERSION}; install a newer one")
