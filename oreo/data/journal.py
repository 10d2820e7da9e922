"""The file a writer appends episodes to until they become a Parquet shard: one line an episode, checksum and JSON.

A line is written with one call and is complete when it ends in a line break, so a killed writer leaves at most one
torn line, the last. While its writer lives the file is locked; a journal that nobody has locked is an orphan.
"""

from __future__ import annotations

import json
import os
import warnings
import zlib
from pathlib import Path
from typing import Any

from oreo.errors import DataError

try:
    import fcntl
except ImportError:  # Windows: no journal ever counts as an orphan there
    fcntl = None  # type: ignore[assignment]

SUFFIX = ".journal"


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
        """
        line = encode(record)
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


def read(path: Path, orphan: bool | None = None) -> list[dict[str, Any]]:
    """All complete records. A torn last one is left out; with a warning, if no writer is at work on it any more.

    Args:
        orphan: whether its writer is gone; None: find out.

    Raises:
        DataError: a damaged record that is not the last.
        FileNotFoundError: no such journal (any more).
    """
    from oreo.data.records import ADDED

    data = path.read_bytes()
    lines = data.split(b"\n")
    torn = lines.pop()
    records = []
    for number, line in enumerate(lines, 1):
        text = line[9:]
        if line[:9] == b"%08x " % zlib.crc32(text):
            records.append({**ADDED, **json.loads(text)})
        elif number == len(lines) and not torn:
            torn = line  # the line break made it to the disk, what stands before it did not
        else:
            raise DataError(f"{path} is damaged in line {number}; take that line out to read the rest")
    if torn and (is_orphan(path) if orphan is None else orphan):
        warnings.warn(f"{path} ends in an episode that was not written completely; it is left out", stacklevel=2)
    return records


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
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
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
