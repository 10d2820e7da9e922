"""TrajectoryBuffer: episodes on disk, in a folder of Parquet files that any Parquet tool can read.

    _buffer.json                 says that this is a buffer, and the version of its schema
    <writer>-<number>.parquet    a shard: written under another name, then renamed, never changed again
    _<writer>-<number>.journal   episodes that are not in a shard yet; becomes the shard of the same name

(Names that begin with "_" or "." are what Parquet tools pass over when they are given a folder.)

Only ever appended to. Each writer has files of its own, so any number of processes may write at once and reading
needs no lock. A killed writer loses at most the episode it was writing: its journal is read like any other, and made
a shard by whoever opens the buffer to write next. An episode is in a shard or in the journal of that name; where both
exist (killed in between), the shard counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo import journal
from oreo.errors import DataError
from oreo.trajectory import Trajectory

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MANIFEST = "_buffer.json"
_SHARD = ".parquet"
_ROWS_AT_ONCE = 128
"""Rows of a row group, and of one step of reading."""
_JOURNAL_BYTES = 64 << 20
"""A journal of this size becomes a shard however few episodes it has: it has to fit into memory."""
_FILTERS = ("won", "env_id", "task", "task_type", "game", "dialect", "agent", "checkpoint")


class TrajectoryBuffer:
    """A growing collection of trajectories.

        with TrajectoryBuffer("runs/kitchen") as buffer:
            buffer.append(trajectory)
        for trajectory in buffer: ...
        buffer[0], len(buffer), buffer.select(won=True), buffer.info()

    Reading always sees what is on disk now, other writers' episodes included. The order is that of the writers'
    beginnings and, within one, that of its episodes; it does not change except by what is added.
    """

    def __init__(self, path: str | os.PathLike[str], create: bool = True, episodes_per_shard: int = 1000) -> None:
        """Args:
        path: the folder.
        create: make it where there is none. False is for reading what is to be there.
        episodes_per_shard: a journal becomes a shard when it has so many.

        Raises:
            DataError: no such folder, or one that is no buffer.
        """
        self.path = Path(path).expanduser()
        self.episodes_per_shard = episodes_per_shard
        self._writer: _Writer | None = None
        self._counts: dict[str, int] = {}
        self._last_read: tuple[Any, list[Trajectory]] = (None, [])
        _open(self.path, create)

    def __repr__(self) -> str:
        return f"TrajectoryBuffer({str(self.path)!r}, {len(self)} episodes)"

    def __reduce__(self) -> Any:
        return TrajectoryBuffer, (self.path, True, self.episodes_per_shard)

    # Writing.

    def append(self, trajectory: Trajectory) -> None:
        """Store one episode; when this returns, it outlives this process.

        Raises:
            DataError: a trajectory that cannot be stored exactly; nothing has been stored then.
        """
        from oreo.records import to_record

        record = to_record(trajectory)
        writer = self._own_writer()
        writer.append(record)
        if writer.journal.count >= self.episodes_per_shard or writer.journal.size >= _JOURNAL_BYTES:
            self.flush()

    def extend(self, trajectories: Iterable[Trajectory]) -> None:
        for trajectory in trajectories:
            self.append(trajectory)

    def flush(self) -> None:
        """Make a shard of what has been appended, for other Parquet tools; our own reading needs no flush."""
        if self._writer is not None and self._writer.process == os.getpid():
            self._writer.roll()

    def close(self) -> None:
        """Flush and let go. Appending again begins anew."""
        self.flush()
        self._writer = None

    def __enter__(self) -> TrajectoryBuffer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def _own_writer(self) -> _Writer:
        # After a fork, the journal belongs to the parent.
        if self._writer is None or self._writer.process != os.getpid():
            _adopt_orphans(self.path)
            self._writer = _Writer(self.path)
        return self._writer

    # Reading.

    def __len__(self) -> int:
        return sum(self._count(file) for file in self._files())

    def __iter__(self) -> Iterator[Trajectory]:
        for file in self._files():
            for batch in self._read(file):
                yield from batch()

    def __getitem__(self, index: int) -> Trajectory:
        files = self._files()
        counts = [self._count(file) for file in files]
        total = sum(counts)
        if not -total <= index < total:
            raise IndexError(f"index {index} of a buffer with {total} episodes")
        index %= total
        for file, count in zip(files, counts, strict=True):
            if index < count:
                return self._item(file, index)
            index -= count
        raise AssertionError("an index below the sum of the counts is below one of them")

    def select(self, predicate: Callable[[Trajectory], bool] | None = None, **equal: Any) -> list[Trajectory]:
        """Episodes that match.

        Args:
            predicate: called with each episode that matches `equal`.
            equal: won, env_id, task, task_type, game, dialect, agent or checkpoint, and the value it is to have.
        """
        unknown = set(equal) - set(_FILTERS)
        if unknown:
            raise TypeError(f"select() knows {', '.join(_FILTERS)} and a predicate, not {', '.join(sorted(unknown))}")
        equal = {name: value for name, value in equal.items() if value is not None}
        found = []
        for file in self._files():
            for batch in self._read(file):
                found += [trajectory for trajectory in batch(equal) if predicate is None or predicate(trajectory)]
        return found

    def info(self) -> dict[str, Any]:
        """What is in it: episodes, steps, won, success_rate, shards, journals, bytes, and by_env, by_task_type,
        by_agent, by_dialect: {name: {"episodes": …, "won": …, "success_rate": …}}.
        """
        names = ["won", "length", "env_id", "task_type", "agent", "dialect"]
        rows: list[tuple[Any, ...]] = []
        files = self._files()
        for file in files:
            rows += self._columns(file, names)
        won, lengths = [row[0] for row in rows], [row[1] for row in rows]
        info: dict[str, Any] = {"path": str(self.path), "episodes": len(rows), "steps": sum(lengths)}
        info |= {"won": sum(won), "success_rate": sum(won) / len(rows) if rows else None}
        for place, name in enumerate(("env", "task_type", "agent", "dialect"), 2):
            info[f"by_{name}"] = _by_name([(row[place], row[0]) for row in rows])
        info["shards"] = sum(file.suffix == _SHARD for file in files)
        info["journals"] = len(files) - info["shards"]
        info["bytes"] = sum(file.stat().st_size for file in files if file.exists())
        return info

    def _files(self) -> list[Path]:
        """Shards and journals that count, in order."""
        # Journals first: one that becomes a shard in between is then seen twice, never not at all.
        journals = {file.stem[1:]: file for file in self.path.glob(f"_*{journal.SUFFIX}")}
        shards = {file.stem: file for file in self.path.glob(f"[!._]*{_SHARD}")}
        found = journals | shards
        return [found[stem] for stem in sorted(found)]

    def _count(self, file: Path) -> int:
        if file.suffix == _SHARD:
            if file.name not in self._counts:
                self._counts[file.name] = _shard(file).metadata.num_rows
            return self._counts[file.name]
        if self._writer is not None and self._writer.journal.path == file:
            return self._writer.journal.count
        return sum(len(batch()) for batch in self._read(file))

    def _read(self, file: Path) -> Iterator[Callable[..., list[Trajectory]]]:
        """A function for each part of a file: it takes what columns have to equal, and gives the trajectories."""
        if file.suffix != _SHARD:
            records = _journal_or_none(file)
            if records is not None:
                yield lambda equal=None: _from_records(records, equal or {})
                return
            file = _shard_of(file)  # it has become a shard since we looked
        shard = _shard(file)
        for group in range(shard.num_row_groups):
            yield lambda equal=None, group=group: _from_group(file, shard, group, equal or {})

    def _item(self, file: Path, index: int) -> Trajectory:
        """Number `index` of a file; the part it was in is kept, since the next is likely to be there too."""
        if file.suffix == _SHARD:
            shard = _shard(file)
            for group in range(shard.num_row_groups):
                rows = shard.metadata.row_group(group).num_rows
                if index < rows:
                    return self._kept((file.name, group), lambda: _from_group(file, shard, group, {}))[index]  # noqa: B023
                index -= rows
        size = file.stat().st_size if file.exists() else -1
        return self._kept((file.name, size), lambda: [each for batch in self._read(file) for each in batch()])[index]

    def _kept(self, key: Any, read: Callable[[], list[Trajectory]]) -> list[Trajectory]:
        if self._last_read[0] != key:
            self._last_read = (key, read())
        return self._last_read[1]

    def _columns(self, file: Path, names: list[str]) -> Iterable[tuple[Any, ...]]:
        if file.suffix != _SHARD:
            records = _journal_or_none(file)
            if records is not None:
                return [tuple(record[name] for name in names) for record in records]
            file = _shard_of(file)
        with _naming(file):
            table = _shard(file).read(columns=names)
        return zip(*(table.column(name).to_pylist() for name in names), strict=True)


def _by_name(pairs: list[tuple[str, bool]]) -> dict[str, dict[str, Any]]:
    episodes, won = Counter(name for name, _ in pairs), Counter(name for name, success in pairs if success)
    return {
        name: {"episodes": episodes[name], "won": won[name], "success_rate": won[name] / episodes[name]}
        for name in sorted(episodes)
    }


# The folder.


def _open(path: Path, create: bool) -> None:
    """Check that the folder is a buffer, or make it one.

    Raises:
        DataError: it is not, and is not to become one.
    """
    if not path.exists():
        if not create:
            raise DataError(f"no buffer at {path}: there is no such folder")
        path.mkdir(parents=True, exist_ok=True)
    if not path.is_dir():
        raise DataError(f"{path} is a file; a buffer is a folder")
    if not (path / MANIFEST).exists():
        foreign = any(not entry.name.startswith(".") for entry in path.iterdir())
        # Asked again: another process may have made it a buffer between the two questions.
        if (foreign or not create) and not (path / MANIFEST).exists():
            what = "holds other things" if foreign else "is empty"
            raise DataError(f"{path} is no trajectory buffer: it has no {MANIFEST} and {what}")
        _write_manifest(path)
    try:
        manifest = json.loads((path / MANIFEST).read_text())
        version = int(manifest["version"])
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise DataError(f"{path / MANIFEST} is damaged ({error}); it should say {_manifest()}") from None
    _check_version(path / MANIFEST, version)


def _manifest() -> str:
    from oreo.records import FORMAT, VERSION

    return json.dumps({"format": FORMAT, "version": VERSION})


def _write_manifest(path: Path) -> None:
    if (path / MANIFEST).exists():
        return
    temporary = path / f".{MANIFEST}.{secrets.token_hex(4)}"
    temporary.write_text(_manifest() + "\n")
    temporary.replace(path / MANIFEST)


def _check_version(file: Path, version: int) -> None:
    from oreo.records import VERSION

    if version > VERSION:
        raise DataError(f"{file} has schema version {version}, this oreo reads up to {VERSION}; install a newer one")


# Shards.


def _shard_of(file: Path) -> Path:
    """What a journal becomes."""
    return file.with_name(file.stem[1:] + _SHARD)


@contextlib.contextmanager
def _naming(file: Path) -> Iterator[None]:
    """Whatever pyarrow says about a broken file becomes one line that names it."""
    import pyarrow as pa

    try:
        yield
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError, json.JSONDecodeError) as error:
        line = (str(error) or type(error).__name__).splitlines()[0]
        raise DataError(f"{file} is damaged ({line}); restore it, or remove it and its episodes") from error


def _shard(file: Path) -> pq.ParquetFile:
    """Raises:
    DataError: damaged, or not a shard of ours.
    """
    import pyarrow.parquet as pq

    from oreo.records import FORMAT, SCHEMA

    with _naming(file):
        shard = pq.ParquetFile(file, page_checksum_verification=True)
        metadata = {key.decode(): value.decode() for key, value in (shard.schema_arrow.metadata or {}).items()}
        if metadata.get("oreo.format") != FORMAT:
            raise DataError(f"{file} is a Parquet file, but not one of trajectories")
        _check_version(file, int(metadata.get("oreo.version", "0")))
        missing = set(SCHEMA.names) - set(shard.schema_arrow.names)
        if missing:
            raise DataError(f"{file} lacks the columns {', '.join(sorted(missing))}")
    return shard


def _from_group(file: Path, shard: pq.ParquetFile, group: int, equal: dict[str, Any]) -> list[Trajectory]:
    from oreo.records import from_batch

    with _naming(file):
        if equal:
            columns = shard.read_row_group(group, columns=list(equal))
            match = [all(row[name] == value for name, value in equal.items()) for row in columns.to_pylist()]
            if not any(match):
                return []
        table = shard.read_row_group(group)
        if equal:
            import pyarrow as pa

            table = table.filter(pa.array(match))
        return [trajectory for batch in table.to_batches() for trajectory in from_batch(batch)]


def _from_records(records: list[dict[str, Any]], equal: dict[str, Any]) -> list[Trajectory]:
    from oreo.records import from_record

    return [from_record(each) for each in records if all(each[name] == value for name, value in equal.items())]


def _journal_or_none(file: Path) -> list[dict[str, Any]] | None:
    """Its records; None if it has become a shard."""
    try:
        return journal.read(file)
    except FileNotFoundError:
        if _shard_of(file).exists():
            return None
        raise DataError(f"{file} disappeared while it was read") from None


def _write_shard(table: pa.Table, file: Path) -> None:
    """Under a hidden name first, so that a shard is either there and complete or not there."""
    import pyarrow.parquet as pq

    hidden = file.with_name(f".{file.name}.new")
    with hidden.open("wb") as opened:
        pq.write_table(table, opened, row_group_size=_ROWS_AT_ONCE, compression="zstd", write_page_checksum=True)
        opened.flush()
        os.fsync(opened.fileno())
    os.replace(hidden, file)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


# Writers.


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """A full disk or missing rights, in one line."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written to: {error.strerror or error}") from error


class _Writer:
    """One process's journals, one after the other."""

    def __init__(self, path: Path) -> None:
        self.process = os.getpid()
        # Names sort by the time of the writer's beginning.
        self._stem = str(path / f"_{datetime.now(timezone.utc):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}")
        self._number = 0
        with _writing(path):
            self.journal = self._next()

    def _next(self) -> journal.Journal:
        self._number += 1
        return journal.Journal(Path(f"{self._stem}-{self._number:05d}{journal.SUFFIX}"))

    def append(self, record: dict[str, Any]) -> None:
        with _writing(self.journal.path):
            if not self.journal.path.exists():  # made a shard by `roll`
                self.journal = self._next()
            self.journal.append(record)

    def roll(self) -> None:
        """Journal → shard."""
        if self.journal.path.exists():
            with _writing(self.journal.path):
                _roll(self.journal.path)
            self.journal.close()


def _roll(path: Path, orphan: bool = False) -> None:
    """Make a journal that is ours (by its lock) a shard. At no moment is any episode in neither."""
    from oreo.records import to_table

    shard = _shard_of(path)
    records = [] if shard.exists() else journal.read(path, orphan)
    if records:
        _write_shard(to_table(records), shard)
    path.unlink()


def _adopt_orphans(path: Path) -> None:
    """Make shards of the journals that dead writers left."""
    for file in sorted(path.glob(f"_*{journal.SUFFIX}")):
        taken = journal.take(file)
        if taken is None:
            continue
        try:
            _roll(file, orphan=True)
        finally:
            os.close(taken)
