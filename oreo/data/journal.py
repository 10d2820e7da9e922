"""The file a writer appends episodes to until they become a Parquet shard: one line an episode, checksum and JSON.

A line is written with one call and is complete when it ends in a line break, so a killed writer leaves at most one
torn line, the last. While its writer lives the file is locked; a journal that nobody has locked is an orphan.
"""

from __future__ import annotations

import contextlib
import json
import os
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from oreo.data.records import Damaged, NewerVersion, checked_record, column_of, from_record
from oreo.data.shards import SUFFIX as SHARD_SUFFIX
from oreo.data.shards import ShardFile, naming, warn_of
from oreo.errors import DataError
from oreo.json_text import TooManyValues, check_values, parse
from oreo.trajectory import Trajectory

try:
    import fcntl
except ImportError:  # Windows: no journal ever counts as an orphan there
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".journal"
MOST_BYTES = 64 << 20
"""Of one line; and a journal that has them becomes a shard, however few its episodes: a reader holds all of it."""

_SHORTEN = "shorten what its steps hold (observations, admissible commands, candidates), or their number"


def shard_of(path: Path) -> Path:
    """What a journal becomes."""
    return path.with_name(path.stem[1:] + SHARD_SUFFIX)


# Writing.


class Journal:
    """A journal open for writing."""

    def __init__(self, path: Path) -> None:
        """Create it. It appears under its name when it is locked: before that, somebody might take it for an orphan."""
        self.path = path
        hidden = path.with_name(f".{path.name}.new")
        self._file = os.open(hidden, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o666)
        if fcntl is not None:
            fcntl.flock(self._file, fcntl.LOCK_EX)
        os.rename(hidden, path)
        self.count = 0
        """Episodes in it."""
        self.size = 0
        """Bytes."""

    def append(self, record: dict[str, Any]) -> None:
        """Hand one episode to the operating system; it survives the death of this process, not a loss of power.

        Raises:
            OSError: the disk is full, say. The journal is then as it was before.
            DataError: the episode is larger than what is read. Nothing has been written then.
        """
        line = encode(record)
        if len(line) > MOST_BYTES:
            raise DataError(
                f"an episode of {len(line) >> 20} MB is not stored: at most {MOST_BYTES >> 20} MB; {_SHORTEN}"
            )
        try:
            check_values(line[9:-1].decode())
        except TooManyValues as error:
            raise DataError(f"an episode is not stored where {error}; {_SHORTEN}") from None
        written = 0
        try:
            while written < len(line):
                written += os.write(self._file, line[written:])
        except BaseException:  # an interrupt as well: half a line must not be followed by another
            os.ftruncate(self._file, self.size)
            os.lseek(self._file, self.size, os.SEEK_SET)
            raise
        self.count += 1
        self.size += len(line)

    def close(self) -> None:
        """Let go of it; the file stays."""
        os.close(self._file)


def encode(record: dict[str, Any]) -> bytes:
    """One line."""
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


# Reading.


@dataclass
class Contents:
    """What a journal holds."""

    records: list[dict[str, Any]] = field(default_factory=list)
    """Complete ones, as `oreo.data.records.checked_record` gives them."""
    damaged: list[Damaged] = field(default_factory=list)
    """Why the others are not among them; NewerVersion where they are whole all the same."""
    torn: bool = False
    """Whether it ends in the beginning of one more."""


def read(path: Path) -> Contents:
    """All of a journal.

    Raises:
        FileNotFoundError: no such journal (any more).
        Damaged: the file cannot be read at all.
    """
    contents = Contents()
    with naming(path):
        try:
            opened = path.open("rb")
        except FileNotFoundError:
            opened = None
    if opened is None:
        raise FileNotFoundError(path)
    with naming(path), opened as file:
        if os.fstat(file.fileno()).st_size > 2 * MOST_BYTES:
            raise DataError(f"it has more than {2 * MOST_BYTES >> 20} MB, which no journal has")
        for number, line in enumerate(file, 1):
            text = (
                line[9:-1] if len(line) <= MOST_BYTES else b""
            )  # a whole line whose break was changed into something else counts as one
            whole = line[:9] == b"%08x " % zlib.crc32(text)
            if not whole and not line.endswith(b"\n"):
                contents.torn = True
                break
            try:
                if len(line) > MOST_BYTES:
                    raise DataError(f"it has more than {MOST_BYTES >> 20} MB")
                if not whole:
                    raise DataError("it is not as it was written")
                contents.records.append(_parsed(text))
                if not line.endswith(b"\n"):
                    raise DataError("its episode is whole, and the line break behind it is not as it was written")
            except NewerVersion as error:
                contents.damaged.append(NewerVersion(f"{path}, line {number}: {error}"))
            except DataError as error:
                contents.damaged.append(Damaged(f"{path}, line {number}: damaged ({error})"))
    return contents


def _parsed(text: bytes) -> dict[str, Any]:
    try:
        record = parse(text.decode())
    except TooManyValues as error:
        raise DataError(str(error)) from None
    except (ValueError, RecursionError):
        raise DataError("it is no JSON") from None
    return checked_record(record)


class JournalFile:
    """A journal, as a reader sees it; once it has become a shard, that shard."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._recent: tuple[int, list[Trajectory]] | None = None
        """The size `item` has seen the journal in, and what was in it then."""

    @property
    def count(self) -> int:
        """Complete episodes."""
        records = self._records()
        return ShardFile(shard_of(self.path)).count if records is None else len(records)

    def columns(
        self, names: Sequence[str], numbers: Sequence[int] | None = None
    ) -> Iterator[tuple[int, tuple[Any, ...]]]:
        """(number, these columns) of each episode, or of those with these numbers, as `ShardFile.columns`."""
        records = self._records()
        if records is None:
            yield from ShardFile(shard_of(self.path)).columns(names, numbers)
            return
        wanted = None if numbers is None else set(numbers)
        for number, record in enumerate(records):
            if wanted is None or number in wanted:
                yield number, tuple(column_of(record, name) for name in names)

    def trajectories(self, numbers: Sequence[int] | None = None) -> Iterator[Trajectory]:
        """All, or those with these numbers (ascending)."""
        records = self._records()
        if records is None:
            yield from ShardFile(shard_of(self.path)).trajectories(numbers)
            return
        for record in records if numbers is None else (records[number] for number in numbers):
            yield from_record(record)

    def item(self, index: int) -> Trajectory:
        """Number `index`."""
        size = self.path.stat().st_size if self.path.exists() else -1
        if self._recent is None or self._recent[0] != size:
            self._recent = size, list(self.trajectories())
        return self._recent[1][index]

    def forget(self) -> None:
        """Let go of what `item` has read."""
        self._recent = None

    def damage(self) -> list[Damaged]:
        """Why not all of it can be read, for each record."""
        try:
            return read(self.path).damaged
        except Damaged as error:
            return [error]
        except FileNotFoundError:
            return []

    def _records(self) -> list[dict[str, Any]] | None:
        """What can be read of it, with a warning about the rest; None: it has become a shard since it was listed."""
        try:
            contents = read(self.path)
        except FileNotFoundError:
            if shard_of(self.path).exists():
                return None
            raise Damaged(f"{self.path}: it disappeared while it was read") from None
        for error in contents.damaged:
            warn_of(error)
        if contents.torn and is_orphan(self.path):
            warn_of_torn(self.path)
        return contents.records


def warn_of_torn(path: Path) -> None:
    """A dead writer's last words."""
    warnings.warn(f"{path} ends in an episode that was not written completely; it is left out", stacklevel=3)


# Locks.


def is_orphan(path: Path) -> bool:
    """Whether no living process writes to it."""
    orphan = take(path)
    if orphan is None:
        return False
    os.close(orphan)
    return True


def take(path: Path) -> int | None:
    """Lock an orphan and return its file descriptor (close it to let go), None if a writer holds it or it is gone."""
    if fcntl is None:
        return None
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:  # gone, or not ours to write
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(file).st_nlink:  # else it was taken care of between opening and locking
            return file
    except OSError:
        pass
    os.close(file)
    return None


@contextlib.contextmanager
def alone(path: Path, waits: Callable[[], object] | None = None) -> Iterator[None]:
    """Hold a lock file, which is made, and removed afterwards: one process at a time is in such a block.

    Args:
        waits: called where another one is, before its end is waited for.
    """
    file = None
    while fcntl is not None and file is None:
        file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waits is not None:
                waits()
            fcntl.flock(file, fcntl.LOCK_EX)
        if not os.fstat(file).st_nlink:  # whoever held it has removed it; the next one makes a new file
            os.close(file)
            file = None
    try:
        yield
    finally:
        if file is not None:
            with contextlib.suppress(OSError):
                path.unlink()
            os.close(file)
