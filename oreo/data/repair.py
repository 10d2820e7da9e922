"""`oreo buffer check`: read all of a buffer, name what is damaged in it, and set that aside.

Repairing deletes nothing. A file that is damaged is moved into the folder `damaged/` as it is, and what can be read of
it is written into a new file under its name. What a newer version of this package has written stays where it is.
"""

from __future__ import annotations

import os
from pathlib import Path

from oreo.data import journal, shards
from oreo.data.buffer import TrajectoryBuffer
from oreo.data.records import Damaged, NewerVersion, to_record
from oreo.data.shards import ShardFile
from oreo.data.writers import roll, set_aside
from oreo.errors import DataError
from oreo.files import writing


def check(buffer: TrajectoryBuffer) -> dict[Path, list[Damaged]]:
    """Read every byte of a buffer.

    Returns:
        For each file that cannot be read as a whole, why not, for each record or part; NewerVersion among them.
    """
    files, strangers = buffer.files()
    damage = {path: [Damaged(f"{path}: it is no regular file")] for path in strangers}
    return damage | {file.path: errors for file in files if (errors := file.damage())}


def repair(buffer: TrajectoryBuffer) -> dict[Path, list[Damaged]]:
    """Move what is damaged into the folder `damaged/` of a buffer, and keep the rest.

    Returns:
        What was damaged, as of `check`.

    Raises:
        DataError: the buffer cannot be written to, or the writer of a damaged journal is still at work. What was
            repaired before is whole.
    """
    damage = check(buffer)
    for path, errors in damage.items():
        if not newer(errors):
            with writing(path):
                _repair(path)
    return damage


def newer(errors: list[Damaged]) -> bool:
    """Whether a file is left as it is, for a newer version of this package to read."""
    return any(isinstance(error, NewerVersion) for error in errors)


def _repair(path: Path) -> None:
    if path.is_file() and path.suffix == journal.SUFFIX:
        _repair_journal(path)
    elif path.is_file() and path.suffix == shards.SUFFIX:
        _repair_shard(path)
    else:
        set_aside(path)


def _repair_journal(path: Path) -> None:
    taken = journal.take(path)
    if taken is None:
        raise DataError(f"{path} is damaged, and its writer is still at work; repair it when that has ended")
    try:
        roll(path)
    finally:
        os.close(taken)


def _repair_shard(path: Path) -> None:
    from oreo.data.tables import to_table

    readable = ShardFile(path).readable()
    # Where something is left, the shard keeps its name: at no moment are its whole episodes nowhere.
    set_aside(path, copy=bool(readable))
    if readable:
        shards.write_shard(to_table([to_record(trajectory) for trajectory in readable]), path)
