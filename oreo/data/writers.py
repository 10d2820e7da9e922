"""How a process adds to a buffer: a journal that becomes a shard, then the next. Also: taking over from dead writers.

A journal `_<stem>.journal` becomes the shard `<stem>.parquet`. The shard appears before the journal is removed, so an
episode is never in neither; where both exist, the shard counts. What is damaged in a journal does not get into the
shard: the journal then is not removed, but moved into the folder `damaged/`, as it is.
"""

from __future__ import annotations

import os
import secrets
import shutil
import warnings
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from oreo.data import journal, shards
from oreo.data.journal import shard_of
from oreo.data.records import NewerVersion
from oreo.errors import DataError
from oreo.files import writing

DAMAGED = "damaged"
"""The folder, in that of the buffer, for files that cannot be read as a whole."""


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
            roll(self.journal.path)
            self._rolled = True
            self.journal.close()


def roll(path: Path) -> None:
    """Make a journal that is ours (by its lock) a shard. At no moment is any episode in neither.

    Raises:
        DataError: the journal is of a newer oreo, or the shard cannot be written; the journal is as it was then.
    """
    from oreo.data.tables import to_table

    contents, shard = journal.read(path), shard_of(path)
    damage = shards.ShardFile(shard).damage() if shard.is_file() else []
    for error in [*contents.damaged, *damage]:
        if isinstance(error, NewerVersion):
            raise error
    with writing(path.parent):
        whole = shard.is_file() and not damage
        if contents.records and not whole:
            if os.path.lexists(shard):
                set_aside(shard)
            shards.write_shard(to_table(contents.records), shard)
        if contents.torn:
            journal.warn_of_torn(path)
        if not contents.damaged:
            path.unlink()
            return
        moved = set_aside(path)
    for error in contents.damaged:
        warnings.warn(f"{error}; it is kept in {moved}", stacklevel=2)


def set_aside(path: Path, *, copy: bool = False) -> Path:
    """Move a file of a buffer to where no reader looks (or put a copy of it there), and say where that is."""
    # Parquet tools that are given the buffer's folder look into folders, and pass over names with this beginning.
    folder, name = path.parent / DAMAGED, path.name if path.name.startswith("_") else f"_{path.name}"
    folder.mkdir(exist_ok=True)
    target, number = folder / name, 1
    while target.exists():
        number += 1
        target = folder / f"{name}.{number}"
    if copy:
        shutil.copy2(path, target)
    else:
        path.rename(target)
    return target


def adopt_orphans(path: Path) -> None:
    """Make shards of the journals that dead writers left. One that cannot become a shard stays, with a warning."""
    for file in sorted(path.glob(f"_*{journal.SUFFIX}")):
        taken = journal.take(file) if file.is_file() else None
        if taken is None:
            continue
        try:
            roll(file)
        except DataError as error:
            warnings.warn(f"{error}; it stays as it is", stacklevel=2)
        finally:
            os.close(taken)
