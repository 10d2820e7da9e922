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

import json
import os
import secrets
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from oreo.data import journal, shards
from oreo.data.writers import Writer, adopt_orphans, shard_of
from oreo.errors import DataError
from oreo.trajectory import Trajectory

MANIFEST = "_buffer.json"
_JOURNAL_BYTES = 64 << 20
"""A journal of this size becomes a shard however few episodes it has: it has to fit into memory."""
_FILTERS = ("won", "env_id", "task", "task_type", "game", "dialect", "grade", "agent", "checkpoint")


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
        self._writer: Writer | None = None
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
        from oreo.data.records import to_record

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

    @property
    def writer_name(self) -> str:
        """What `stored_by` knows this object's episodes by."""
        return self._own_writer().name

    def _own_writer(self) -> Writer:
        # After a fork, the journal belongs to the parent.
        if self._writer is None or self._writer.process != os.getpid():
            adopt_orphans(self.path)
            self._writer = Writer(self.path)
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
            equal: won, env_id, task, task_type, game, dialect, grade, agent or checkpoint, and the value it is to have.
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
        by_agent, by_dialect, by_grade: {name: {"episodes": …, "won": …, "success_rate": …}}.
        """
        names = ["won", "length", "env_id", "task_type", "agent", "dialect", "grade"]
        rows: list[tuple[Any, ...]] = []
        files = self._files()
        for file in files:
            rows += self._columns(file, names)
        won, lengths = [row[0] for row in rows], [row[1] for row in rows]
        info: dict[str, Any] = {"path": str(self.path), "episodes": len(rows), "steps": sum(lengths)}
        info |= {"won": sum(won), "success_rate": sum(won) / len(rows) if rows else None}
        for place, name in enumerate(("env", "task_type", "agent", "dialect", "grade"), 2):
            info[f"by_{name}"] = _by_name([(row[place], row[0]) for row in rows])
        info["shards"] = sum(file.suffix == shards.SUFFIX for file in files)
        info["journals"] = len(files) - info["shards"]
        info["bytes"] = sum(file.stat().st_size for file in files if file.exists())
        return info

    def stored_by(self, writer_name: str = "") -> list[tuple[int | None, bool]]:
        """(seed, won) of each episode that a writer has stored so far, in order; also of one that is dead.

        Without a name, of all writers.
        """
        files = [file for file in self._files() if file.stem.removeprefix("_").startswith(writer_name)]
        return [row for file in files for row in self._columns(file, ["seed", "won"])]

    def columns(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """These columns of `oreo.data.records.SCHEMA`, a row for each episode, without reading the steps."""
        for file in self._files():
            yield from self._columns(file, list(names))

    def _files(self) -> list[Path]:
        """Shards and journals that count, in order."""
        # Journals first: one that becomes a shard in between is then seen twice, never not at all.
        found = {file.stem[1:]: file for file in self.path.glob(f"_*{journal.SUFFIX}")}
        found |= {file.stem: file for file in self.path.glob(f"[!._]*{shards.SUFFIX}")}
        return [found[stem] for stem in sorted(found)]

    def _count(self, file: Path) -> int:
        if file.suffix == shards.SUFFIX:
            if file.name not in self._counts:
                self._counts[file.name] = shards.open_shard(file).metadata.num_rows
            return self._counts[file.name]
        if self._writer is not None and self._writer.journal.path == file:
            return self._writer.journal.count
        return sum(len(batch()) for batch in self._read(file))

    def _read(self, file: Path) -> Iterator[Callable[..., list[Trajectory]]]:
        """A function for each part of a file: it takes what columns have to equal, and gives the trajectories."""
        if file.suffix != shards.SUFFIX:
            records = _journal_or_none(file)
            if records is not None:
                yield lambda equal=None: _from_records(records, equal or {})
                return
            file = shard_of(file)  # it has become a shard since we looked
        shard = shards.open_shard(file)
        for group in range(shard.num_row_groups):
            yield lambda equal=None, group=group: shards.read_group(file, shard, group, equal or {})

    def _item(self, file: Path, index: int) -> Trajectory:
        """Number `index` of a file; the part it was in is kept, since the next is likely to be there too."""
        if file.suffix == shards.SUFFIX:
            shard = shards.open_shard(file)
            for group in range(shard.num_row_groups):
                rows = shard.metadata.row_group(group).num_rows
                if index < rows:
                    return self._kept((file.name, group), lambda: shards.read_group(file, shard, group, {}))[index]  # noqa: B023
                index -= rows
        size = file.stat().st_size if file.exists() else -1
        return self._kept((file.name, size), lambda: [each for batch in self._read(file) for each in batch()])[index]

    def _kept(self, key: Any, read: Callable[[], list[Trajectory]]) -> list[Trajectory]:
        if self._last_read[0] != key:
            self._last_read = (key, read())
        return self._last_read[1]

    def _columns(self, file: Path, names: list[str]) -> Iterable[tuple[Any, ...]]:
        if file.suffix != shards.SUFFIX:
            records = _journal_or_none(file)
            if records is not None:
                return [tuple(record[name] for name in names) for record in records]
            file = shard_of(file)
        return shards.read_columns(file, names)


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
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot make a buffer at {path}: {error.strerror or error}") from None
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
    shards.check_version(path / MANIFEST, version)


def _manifest() -> str:
    from oreo.data.records import FORMAT, VERSION

    return json.dumps({"format": FORMAT, "version": VERSION})


def _write_manifest(path: Path) -> None:
    if (path / MANIFEST).exists():
        return
    temporary = path / f".{MANIFEST}.{secrets.token_hex(4)}"
    temporary.write_text(_manifest() + "\n")
    temporary.replace(path / MANIFEST)


# Files.


def _from_records(records: list[dict[str, Any]], equal: dict[str, Any]) -> list[Trajectory]:
    from oreo.data.records import from_record

    return [from_record(each) for each in records if all(each[name] == value for name, value in equal.items())]


def _journal_or_none(file: Path) -> list[dict[str, Any]] | None:
    """Its records; None if it has become a shard."""
    try:
        return journal.read(file)
    except FileNotFoundError:
        if shard_of(file).exists():
            return None
        raise DataError(f"{file} disappeared while it was read") from None
