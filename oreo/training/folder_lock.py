"""One run at a time in an output folder: a lock on its file .lock, which the system lets go when the process dies."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from oreo.errors import UsageError
from oreo.files import writing

try:
    import fcntl
except ImportError:  # Windows: a second run is not noticed there
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


def refuse_if_held(folder: Path) -> None:
    """Look without touching anything.

    Raises:
        UsageError: another run is at work in the folder.
    """
    if fcntl is None:
        return
    try:
        file = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:  # nobody was ever there, or has left
        return
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _held(folder, file) from None
    finally:
        os.close(file)


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Hold a folder, which is made where it is missing, and removed afterwards where nothing was put into it.

    Raises:
        UsageError: another run is at work in it.
        DataError: it cannot be written.
    """
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        file = _lock(folder)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # removed first: whoever locks a file that is gone tries again
            (folder / LOCK).unlink()
        if file is not None:
            os.close(file)
        with contextlib.suppress(OSError):
            folder.rmdir()


def _lock(folder: Path) -> int | None:
    if fcntl is None:
        return None
    while True:
        file = os.open(folder / LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            error = _held(folder, file)
            os.close(file)
            raise error from None
        if os.fstat(file).st_nlink:  # else whoever had it removed it between opening and locking
            os.ftruncate(file, 0)
            os.write(file, f"process {os.getpid()} on {socket.gethostname()}".encode())
            return file
        os.close(file)


def _held(folder: Path, file: int) -> UsageError:
    who = os.pread(file, 200, 0).decode(errors="replace") or "a process"
    return UsageError(f"{folder} is in use: {who} is training there; wait until it is done, or give another folder")
