"""Files and folders that are there under their name when they are whole, and never before.

    with making(Path("runs/won")) as new:
        ...  # write `new`, a file or a folder

They are written in a hidden folder beside their name, and renamed at the end. So what is killed leaves nothing under
the name, and the same command does it again; what it left is then removed.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from oreo.data import journal
from oreo.errors import DataError, UsageError

_LOCK = ".lock"
"""In a hidden folder, held while something is made in it."""
_HALF_LOCK = ".lock.new"
"""The same before it is held."""


@contextlib.contextmanager
def making(path: Path) -> Iterator[Path]:
    """Where to write what gets its name when the block ends well, and is removed when it does not.

    Raises:
        UsageError: something of this name is there already.
        DataError: it cannot be written.
    """
    _refuse_existing(path)
    with _told_of(path):
        hidden, lock = _hidden(path)
    _remove_abandoned(path, but=hidden)
    try:
        yield hidden / path.name
        _refuse_existing(path)  # somebody else may have been faster
        with _told_of(path):
            (hidden / path.name).rename(path)
    finally:
        shutil.rmtree(hidden, ignore_errors=True)
        os.close(lock)


@contextlib.contextmanager
def _told_of(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise DataError(f"cannot write {path} ({error.strerror or error}); there is none now") from error


def _refuse_existing(path: Path) -> None:
    """Raises:
    UsageError: something of this name is there already.
    """
    if os.path.lexists(path):
        raise UsageError(f"{path} is there already; give a new name")


def _hidden(path: Path) -> tuple[Path, int]:
    """A new folder and its lock."""
    while True:
        hidden = path.with_name(f".{path.name}.new-{secrets.token_hex(4)}")
        hidden.mkdir(parents=True)
        with contextlib.suppress(FileNotFoundError):  # taken for abandoned before it was locked
            return hidden, _locked(hidden)


def _locked(folder: Path) -> int:
    """A file that appears under its name when it is locked, and stays so until it is closed."""
    file = os.open(folder / _HALF_LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
    try:
        if journal.fcntl is not None:
            journal.fcntl.flock(file, journal.fcntl.LOCK_EX)
        os.rename(folder / _HALF_LOCK, folder / _LOCK)
    except BaseException:
        os.close(file)
        raise
    return file


def _remove_abandoned(path: Path, but: Path) -> None:
    """Remove what killed processes left of something of this name."""
    for folder in path.parent.iterdir():
        if not folder.name.startswith(f".{path.name}.new-") or folder == but:
            continue
        for name in (_LOCK, _HALF_LOCK):
            if (taken := journal.take(folder / name)) is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(taken)
        with contextlib.suppress(OSError):  # one that was killed before it made its lock
            folder.rmdir()
