"""TrajectoryBuffer: episodes on disk, in a folder of Parquet files that any Parquet tool can read.

    _buffer.json                 says that this is a buffer, and the version of its schema
    <writer>-<number>.parquet    a shard: written under another name, then renamed, never changed again
    _<writer>-<number>.journal   episodes that are not in a shard yet; becomes the shard of the same name
    damaged/                     files that could not be read as a whole, moved there as they were

(Names that begin with "_" or "." are what Parquet tools pass over when they are given a folder.)

A buffer is only ever appended to. Each writer has files of its own, so any number of processes may write at once and
reading needs no lock. A killed writer loses at most the episode it was writing: its journal is read like any other, and
made a shard by whoever opens the buffer to write next. An episode is in a shard or in the journal of that name; where
both exist (killed in between), the shard counts.

What is damaged is named in a warning and passed over, and the rest is read (oreo.data.repair sets it aside). So is what
a newer version of this package has written, which is left as it is; a whole buffer that says it is newer is refused.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from oreo.data import journal, shards
from oreo.data.filters import Condition
from oreo.data.journal import JournalFile
from oreo.data.records import FORMAT, VERSION, Damaged, check_version, to_record
from oreo.data.shards import ShardFile, warn_of
from oreo.data.summary import summary
from oreo.data.views import BufferView, conditions_of, place_of, readable
from oreo.data.writers import Writer, adopt_orphans
from oreo.errors import DataError
from oreo.files import writing
from oreo.trajectory import Trajectory

MANIFEST = "_buffer.json"
_MANIFEST_CHARACTERS = 1 << 16
"""What is longer is no manifest."""

File: TypeAlias = ShardFile | JournalFile


class TrajectoryBuffer:
    """A growing collection of trajectories.

        with TrajectoryBuffer("runs/kitchen") as buffer:
            buffer.append(trajectory)
        for trajectory in buffer: ...
        buffer[0], len(buffer), buffer.where("won and steps < 20"), buffer.info()

    Reading always sees what is on disk now, other writers' episodes included. The order is that of the writers'
    beginnings and, within one, that of its episodes; it does not change except by what is added.
    """

    def __init__(self, path: str | os.PathLike[str], create: bool = True, episodes_per_shard: int = 1000) -> None:
        """Args:
        path: the folder.
        create: make it where there is none. False is for reading what is to be there.
        episodes_per_shard: a journal becomes a shard when it has N episodes.

        Raises:
            DataError: no such folder, or one that is no buffer.
        """
        self.path = _with_home(path)
        self.episodes_per_shard = episodes_per_shard
        self._writer: Writer | None = None
        self._shards: dict[str, tuple[Any, ShardFile]] = {}
        """By name, with the (size, time of change, inode) of the file; its footer is read again when they change."""
        self._recent: File | None = None
        """The file that an item was taken from last, which keeps the part of it that was read."""
        _open(self.path, create)

    def __repr__(self) -> str:
        return f"TrajectoryBuffer({str(self.path)!r}, {len(self)} episodes)"

    def __reduce__(self) -> Any:
        # A copy in another process is a writer of its own: locks and open files stay here.
        return TrajectoryBuffer, (self.path, True, self.episodes_per_shard)

    # Writing.

    def append(self, trajectory: Trajectory) -> None:
        """Store one episode; when this returns, it outlives this process.

        Raises:
            DataError: a trajectory that cannot be stored exactly, has not ended, or is larger than 64 MB;
                nothing has been stored then.
        """
        record = to_record(trajectory)
        writer = self._own_writer()
        writer.append(record)
        if writer.journal.count >= self.episodes_per_shard or writer.journal.size >= journal.MOST_BYTES:
            self.flush()

    def extend(self, trajectories: Iterable[Trajectory]) -> None:
        """Store several, one after the other."""
        for trajectory in trajectories:
            self.append(trajectory)

    def flush(self) -> None:
        """Make a shard of this object's journal, for other Parquet tools; our own reading needs no flush."""
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
        """What the names of this object's files begin with, and `stored_by` knows its episodes by.

        Asking makes this object a writer: it begins a journal, and takes over those of dead writers.
        """
        return self._own_writer().name

    def _own_writer(self) -> Writer:
        """The writer of this object in this process, begun where there is none: after a fork, it is the parent's."""
        if self._writer is None or self._writer.process != os.getpid():
            adopt_orphans(self.path)
            self._writer = Writer(self.path)
        return self._writer

    # Reading.

    def __len__(self) -> int:
        return sum(map(self.count, self.readable_files()))

    def __iter__(self) -> Iterator[Trajectory]:
        for file in self.readable_files():
            yield from readable(file.trajectories())

    def __getitem__(self, index: int) -> Trajectory:
        files = self.readable_files()
        counts = list(map(self.count, files))
        total = sum(counts)
        index = place_of(index, total, f"a buffer with {total} episodes")
        for file, count in zip(files, counts, strict=True):
            if index < count:
                return self.item(file, index)
            index -= count
        raise AssertionError("an index below the sum of the counts is below one of them")

    def where(self, condition: str | Condition = "", /, **equal: Any) -> BufferView:
        """The episodes that are as told, as a view: none is read before it is asked for.

            buffer.where("won and steps < 20"), buffer.where(won=True, agent="random")

        Args:
            condition: in the language of `oreo.data.filters`.
            equal: words of it, and the value each is to have; None asks for nothing.

        Raises:
            UsageError: no such word, or no condition; says at which column, and what was expected there.
        """
        return BufferView(self, conditions_of(condition, equal))

    def shuffled(self, seed: int) -> Iterator[Trajectory]:
        """All episodes once in an order that is drawn; see `BufferView.shuffled`."""
        return BufferView(self).shuffled(seed)

    def info(self) -> dict[str, Any]:
        """What is in it: the counts of `oreo.data.summary.summary`, then shards, journals, bytes."""
        files = self.readable_files()
        info: dict[str, Any] = {"path": str(self.path), **summary(self.columns)}
        info["shards"] = sum(isinstance(file, ShardFile) for file in files)
        info["journals"] = len(files) - info["shards"]
        info["bytes"] = sum(file.path.stat().st_size for file in files if file.path.exists())
        return info

    def stored_by(self, writer_name: str = "") -> list[tuple[int | None, bool]]:
        """(seed, won) of each episode that a writer has stored so far, in order; also of one that is dead.

        Without a name, of all writers.
        """
        own = [file for file in self.readable_files() if file.path.stem.removeprefix("_").startswith(writer_name)]
        return list(_columns(own, ["seed", "won"]))

    def stored_games(self) -> Counter[tuple[int | None, str]]:
        """How many episodes are stored of each (seed, game): the samples of a game, which share both."""
        return Counter(self.columns("seed", "game"))

    def columns(self, *names: str) -> Iterator[tuple[Any, ...]]:
        """These columns of `oreo.data.tables.SCHEMA`, a row for each episode, nothing else read; "steps.reward" is one
        field of its steps, as a list.
        """
        yield from _columns(self.readable_files(), names)

    def columns_at(self, numbers: Sequence[int], *names: str) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """(number, these columns) of the episodes with these numbers (ascending), as `columns`."""
        begin = 0
        for file in self.readable_files():
            end = begin + self.count(file)
            inside = [number - begin for number in numbers if begin <= number < end]
            try:
                for number, row in file.columns(names, inside) if inside else ():
                    yield begin + number, row
            except Damaged as error:
                warn_of(error)
            begin = end

    def files(self) -> tuple[list[File], list[Path]]:
        """The shards and journals that are read, in order; and what has the name of one and is no regular file.

        Where a journal and the shard of its name are both there, the shard alone is read.
        """
        # Journals are listed first: one that becomes a shard between the two lines is seen twice, and never not at all.
        # Both have one stem, under which the shard replaces the journal.
        paths = {path.stem[1:]: path for path in self.path.glob(f"_*{journal.SUFFIX}")}
        paths |= {path.stem: path for path in self.path.glob(f"[!._]*{shards.SUFFIX}")}
        files: list[File] = []
        strangers = []
        for stem in sorted(paths):
            path = paths[stem]
            if path.is_file():
                files.append(self._shard(path) if path.suffix == shards.SUFFIX else JournalFile(path))
            elif path.suffix == journal.SUFFIX and journal.shard_of(path).is_file():  # it has become one since
                files.append(self._shard(journal.shard_of(path)))
            else:
                strangers.append(path)
        return files, strangers

    def readable_files(self) -> list[File]:
        """As `files`, with a warning about what is no file."""
        files, strangers = self.files()
        for path in strangers:
            warnings.warn(f"{path} is no regular file and is passed over", stacklevel=3)
        return files

    def _shard(self, path: Path) -> ShardFile:
        """The shard at a path, the same object as long as the file is as it was."""
        status = path.stat()
        state = status.st_size, status.st_mtime_ns, status.st_ino
        if path.name not in self._shards or self._shards[path.name][0] != state:
            self._shards[path.name] = state, ShardFile(path)
        return self._shards[path.name][1]

    def count(self, file: File) -> int:
        """Episodes in one of its files."""
        if self._writer is not None and self._writer.journal.path == file.path:
            return self._writer.journal.count  # counted as they were written, so the journal need not be read
        try:
            return file.count
        except Damaged as error:
            warn_of(error)
            return 0

    def item(self, file: File, index: int) -> Trajectory:
        """An episode of one of its files."""
        # A file keeps the part that it read an item from, since the next item is likely to be there, too. Only the file
        # that was read last does so: a whole buffer need not fit into memory.
        if self._recent is not None and self._recent.path != file.path:
            self._recent.forget()
        elif isinstance(self._recent, JournalFile):
            # `files` lists a journal as a new object each time; the one from before has it in memory, and reads it
            # again where its size has changed.
            file = self._recent
        self._recent = file
        return file.item(index)


def _columns(files: Iterable[File], names: Sequence[str]) -> Iterator[tuple[Any, ...]]:
    """These columns of all episodes of some files."""
    for file in files:
        try:
            yield from (row for _, row in file.columns(names))
        except Damaged as error:
            warn_of(error)


# The folder.


def _with_home(path: str | os.PathLike[str]) -> Path:
    """The path with the folder that "~" stands for."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # "~somebody" who is not there
        raise DataError(f"{path}: {error}") from None


def _open(path: Path, create: bool) -> None:
    """Check that the folder is a buffer of a version that can be read, or make it one.

    Raises:
        DataError: it is not, and is not to become one.
    """
    try:
        _find_folder(path, create)
        _find_manifest(path, create)
        version = _version(path / MANIFEST)
    except (OSError, ValueError) as error:  # a name that is too long, or holds a zero byte; a folder of somebody else's
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot open a buffer at {path}: {getattr(error, 'strerror', None) or error}") from None
    check_version(path / MANIFEST, version)


def check_place(path: str | os.PathLike[str]) -> None:
    """Whether a buffer is at a path, or could be made there: for commands to ask before what takes long. Makes nothing.

    Raises:
        DataError: what stands there is no buffer, or none can be made there, saying why.
    """
    folder = _with_home(path)
    try:
        if "\0" in str(folder):
            raise ValueError("embedded null byte")
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            return _open(folder, create=False)
        parent = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
        if not parent.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
        if not os.access(parent, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        if max(len(os.fsencode(part)) for part in folder.absolute().parts) > os.pathconf(parent, "PC_NAME_MAX"):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
    except (OSError, ValueError) as error:  # a name that is too long, or holds a zero byte
        if isinstance(error, DataError):
            raise
        raise DataError(f"cannot make a buffer at {path}: {getattr(error, 'strerror', None) or error}") from None


def _find_folder(path: Path, create: bool) -> None:
    """Raises DataError where there is no folder and none is to be made."""
    if not path.exists():
        if not create:
            raise DataError(f"no buffer at {path}: there is no such folder")
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"cannot make a buffer at {path}: {error.strerror or error}") from None
    if not path.is_dir():
        raise DataError(f"{path} is a file; a buffer is a folder{_import_advice(path)}")


def _import_advice(path: Path) -> str:
    """What to do with a file that looks like other people's trajectories."""
    if path.suffix.lower() not in (".json", ".jsonl", ".parquet"):
        return ""
    return f"; trajectories of others are read by `oreo buffer import {path} --into BUFFER`"


def _find_manifest(path: Path, create: bool) -> None:
    """Raises DataError where a folder has no manifest and is to get none, as it holds other things."""
    if (path / MANIFEST).exists():
        return
    foreign = any(not entry.name.startswith(".") for entry in path.iterdir())
    # Asked again: another process may have made it a buffer between the two questions.
    if (foreign or not create) and not (path / MANIFEST).exists():
        what = "holds other things" if foreign else "is empty"
        advice = next(filter(None, map(_import_advice, path.iterdir())), "")
        raise DataError(f"{path} is no trajectory buffer: it has no {MANIFEST} and {what}{advice}")
    _write_manifest(path)


def _version(manifest: Path) -> int:
    """The version of the schema that a manifest says. Raises DataError for what is no manifest."""
    try:
        if not manifest.is_file():
            raise ValueError("it is no regular file")
        with manifest.open(encoding="utf-8") as file:
            version = json.loads(file.read(_MANIFEST_CHARACTERS))["version"]
        if type(version) is not int or version < 0:
            raise ValueError(f"a version is a whole number, got {version!r:.20}")
    except (ValueError, KeyError, TypeError, OSError, RecursionError) as error:
        line = f"{type(error).__name__}: {error}".splitlines()[0]
        raise DataError(f"{manifest} is damaged ({line:.200}); it should say {_manifest()}") from None
    return version


def _manifest() -> str:
    return json.dumps({"format": FORMAT, "version": VERSION})


def _write_manifest(path: Path) -> None:
    """Make the folder a buffer. Of several processes that do so at once, all leave the same file."""
    if (path / MANIFEST).exists():
        return
    temporary = path / f".{MANIFEST}.{secrets.token_hex(4)}"
    with writing(path):
        temporary.write_text(_manifest() + "\n")
        temporary.replace(path / MANIFEST)
