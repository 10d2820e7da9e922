"""The standard streams as shells hand them over: closed, full, or unable to show a character."""

from __future__ import annotations

import os
import sys

from oreo.errors import OreoError, UsageError


def prepare_streams() -> None:
    """Make what is closed behave like the null device: else the next file opened would take its place.

    Raises:
        UsageError: standard output is closed, so that no result could go there.
    """
    no_output = sys.stdout is None
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            _point_at_null(descriptor)
            setattr(sys, name, open(descriptor, "r" if name == "stdin" else "w", closefd=False))
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal that cannot show a character gets a "?", not a crash
            stream.reconfigure(errors="replace")
    if no_output:
        raise UsageError("standard output is closed, and results go there; for none give it > /dev/null")


def flush_output() -> None:
    """Write out what was printed.

    Raises:
        OreoError: there is no room for it, or the device failed.
        BrokenPipeError: the reader has left.
    """
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()
        raise
    except OSError as error:
        drop_output()
        raise OreoError(
            f"cannot write to standard output: {error.strerror or error}; what was stored is kept"
        ) from None


def drop_output() -> None:
    """Send the rest of standard output nowhere: Python would complain once more while it flushes at exit."""
    _point_at_null(sys.stdout.fileno())


def drop_failed_errors() -> None:
    """Send what standard error did not take nowhere: Python would try once more at exit, and end with a code of 120."""
    try:
        sys.stderr.flush()
    except OSError:
        _point_at_null(sys.stderr.fileno())


def _point_at_null(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    if null != descriptor:
        os.dup2(null, descriptor)
        os.close(null)
