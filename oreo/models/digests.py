"""SHA256SUMS: what the files of a saved model were when they were written, for a flipped bit not to pass for a weight.

The file is that of `sha256sum`, which checks it as well. A folder without one is read as it is, as any model of others.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from oreo.errors import DataError
from oreo.files import sha256_of

NAME = "SHA256SUMS"
_MOST_CHARACTERS = 1 << 20
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\\]+)")


def write_digests(folder: Path) -> None:
    """Say in a model's folder what its files are."""
    files = sorted(path for path in folder.iterdir() if path.is_file() and path.name != NAME)
    (folder / NAME).write_text("".join(f"{sha256_of(path)}  {path.name}\n" for path in files), encoding="utf-8")


def check_digests(folder: str | os.PathLike[str]) -> None:
    """Read all of a model's files where its folder says what they are.

    Raises:
        DataError: one is missing, or not what was written, naming it.
    """
    sums = Path(folder) / NAME
    if not os.path.lexists(sums):
        return
    if not sums.is_file():  # a folder, a pipe, a link in a circle
        raise DataError(f"{sums} is no regular file; delete it, or put a good copy there")
    with sums.open(encoding="utf-8", errors="replace") as file:
        lines = file.read(_MOST_CHARACTERS).splitlines()
    for number, line in enumerate(lines, 1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise DataError(f"{sums}, line {number}: damaged (no SHA-256 of a file); {_ADVICE.format(sums)}")
        path = Path(folder) / match[2]
        if not path.is_file():
            raise DataError(f"{path} is missing, and {NAME} lists it; put it back")
        if sha256_of(path) != match[1]:
            raise DataError(
                f"{path} is not what was written (its SHA-256 differs from that in {NAME}); {_ADVICE.format(sums)}"
            )


_ADVICE = "put a good copy there, or, where you have changed it yourself, delete {}"
