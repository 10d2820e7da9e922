"""How a process adds to a buffer: a journal that becomes a shard, then the next. Also: taking over from dead writers.

A journal `_<stem>.journal` becomes the shard `<stem>.parquet`. The shard appears before the journal is removed, so an
episode is never in neither; where both exist, the shard counts.
"""

from __future__ import annotations

import contextlib
import os
import secrets
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from oreo.data import journal, shards
from oreo.errors import DataError


def shard_of(file: Path) -> Path:
    """What a journal becomes."""
    return file.with_name(file.stem[1:] + shards.SUFFIX)


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """A full disk or missing rights, in one line."""
    try:
        yield
    except OSError as error:
        raise DataError(f"{path} cannot be written to: {error.strerror or error}") from error


class Writer:
    """One process's journals, one after the other."""

    def __init__(self, path: Path) -> None:
        self.process = os.getpid()
        # Names sort by the time of the writer's beginning.
        self._stem = str(path / f"_{datetime.now(timezone.utc):%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}")
        self._number = 0
        self._rolled = False
        """The journal has become a shard, and there is no next one yet."""
        with writing(path):
            self.journal = self._next()

    @property
    def name(self) -> str:
        """What the names of its files have in common."""
        return Path(self._stem).name[1:]

    def _next(self) -> journal.Journal:
        self._number += 1
        opened = journal.Journal(Path(f"{self._stem}-{self._number:05d}{journal.SUFFIX}"))
        self._rolled = False
        return opened

    def append(self, record: dict[str, Any]) -> None:
        with writing(self.journal.path):
            if self._rolled:
                self.journal = self._next()
            elif not self.journal.path.exists():
                raise DataError(f"{self.journal.path} is gone: its writer was taken for dead, or somebody removed it")
            self.journal.append(record)

    def roll(self) -> None:
        """Journal → shard."""
        if not self._rolled and self.journal.path.exists():
            with writing(self.journal.path):
                _roll(self.journal.path)
            self._rolled = True
            self.journal.close()


def _roll(path: Path, orphan: bool = False) -> None:
    """Make a journal that is ours (by its lock) a shard. At no moment is any episode in neither."""
    from oreo.data.records import to_table

    shard = shard_of(path)
    records = [] if shard.exists() else journal.read(path, orphan)
    if records:
        shards.write_shard(to_table(records), shard)
    path.unlink()


def adopt_orphans(path: Path) -> None:
    """Make shards of the journals that dead writers left."""
    for file in sorted(path.glob(f"_*{journal.SUFFIX}")):
        taken = journal.take(file)
        if taken is None:
            continue
        try:
            _roll(file, orphan=True)
        finally:
            os.close(taken)
