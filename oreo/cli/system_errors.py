"""What the operating system refuses (no room, no permission, no such place), in one line that says what to do."""

from __future__ import annotations

import errno
import os

from oreo.text import short

_REMEDIES = {
    errno.ENAMETOOLONG: "give a shorter name",
    errno.EACCES: "give a place that you may use, or change its permissions",
    errno.EPERM: "give a place that you may use, or change its permissions",
    errno.EROFS: "give a place that can be written to",
    errno.ENOSPC: "make room, then the same command goes on",
    errno.EDQUOT: "make room, then the same command goes on",
    errno.ENOENT: "give a place that is there, or can be made",
    errno.ENOTDIR: "a file stands where a folder is needed; give another name",
    errno.EISDIR: "a folder stands where a file is needed; give another name",
    errno.EMFILE: "raise the limit on open files (ulimit -n), or use fewer workers",
    errno.ELOOP: "its links lead in a circle; give another name",
}


def of_system(error: OSError) -> str:
    """Say in one line what the system refused, and where it told, of which file."""
    named = isinstance(error.filename, str | bytes)
    name = short(os.fsdecode(error.filename)) if named else "standard output, or a file"
    remedy = f"; {_REMEDIES[error.errno]}" if error.errno in _REMEDIES else ""
    return f"{name}: {error.strerror or type(error).__name__}{remedy}"
