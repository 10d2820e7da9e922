"""Files and folders that are written whole or not at all: a reader sees the new one or the one from before."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from oreo.errors import DataError

HALF = ".half-"
"""Begins the names of files that are being written."""
_CHUNK = 1 << 20


@contextlib.contextmanager
def replacing(folder: Path) -> Iterator[Path]:
    """A new folder beside `folder` that takes its name when the block ends well, and is removed when it does not."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new, old = (folder.with_name(f".{folder.name}.{kind}-{os.getpid()}") for kind in ("new", "old"))
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        yield new
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    except BaseException:
        shutil.rmtree(new, ignore_errors=True)
        raise


def sha256_of(path: Path) -> str:
    """The digest of a file, in hex digits."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def write_text(path: Path, text: str) -> None:
    """Put `text` into a file whose folder exists."""
    new = path.with_name(f"{HALF}{os.getpid()}-{path.name}")  # several processes may write side by side
    new.write_text(text, encoding="utf-8")
    new.replace(path)


@contextlib.contextmanager
def writing(target: Path) -> Iterator[None]:
    """Turn what goes wrong while writing, such as a full disk or missing rights, into one line.

    Raises:
        DataError: in place of an OSError, or of what libraries in other languages raise for one.
    """
    try:
        yield
    except Exception as error:
        # Libraries written in Rust say "No space left on device (os error 28)" in exceptions of their own.
        if not isinstance(error, OSError) and "os error" not in str(error):
            raise
        lines = str(error).strip().splitlines()
        reason = getattr(error, "strerror", None) or (lines[-1] if lines else type(error).__name__)
        if isinstance(error, PermissionError) or getattr(error, "errno", None) in (errno.EROFS, errno.ENAMETOOLONG):
            advice = "name a place where you may write, and that the file system has a name for"
        else:
            advice = "what was written before is whole: make room, then go on with --resume"
        raise DataError(f"cannot write {target} ({reason}); {advice}") from error


def read_json(path: Path) -> dict[str, Any]:
    """What `write_json` has written.

    Raises:
        DataError: the file is no JSON object, or cannot be read.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):  # brackets nested thousands deep are no more JSON of ours than half a file
        value = None
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error})") from error
    if not isinstance(value, dict):
        raise DataError(f"{path} is damaged; name another folder, or delete {path.parent}")
    return value


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Put JSON into a file; its folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps(value, indent=2) + "\n")
