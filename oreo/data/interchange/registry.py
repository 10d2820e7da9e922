"""The formats by name, other people's among them, and which of them a file is of."""

from __future__ import annotations

import importlib.metadata
import itertools
from pathlib import Path

from oreo.data.interchange import (
    agentgym,
    atif,
    eto,
    inspect_logs,
    jsonl,
    messages,
    minari,
    oreo_release,
    pairs,
    react,
    sharegpt,
    tales,
    trl,
    verifiers_results,
    verifiers_traces,
)
from oreo.data.interchange.sources import rows
from oreo.data.interchange.spec import Format
from oreo.errors import DataError, UsageError, did_you_mean
from oreo.plugins import load_object

FORMATS: dict[str, Format] = {
    record.name: record
    for record in (
        sharegpt.FORMAT,
        agentgym.FORMAT,
        messages.FORMAT,
        pairs.FORMAT,
        *trl.FORMATS,
        oreo_release.MATH,
        oreo_release.ALFWORLD,
        eto.FORMAT,
        react.FORMAT,
        jsonl.FORMAT,
        verifiers_results.FORMAT,
        verifiers_traces.FORMAT,
        atif.FORMAT,
        inspect_logs.FORMAT,
        tales.FORMAT,
        minari.FORMAT,
    )
}
ENTRY_POINT_GROUP = "oreo.formats"
_LOOKED_AT = 20
"""Rows of a file that are looked at to find out its format: some may be damaged, or say little."""


def names() -> list[str]:
    """Every name that `find` knows without a file or module being named."""
    return sorted({*FORMATS, *_entry_points()})


def find(name: str) -> Format:
    """The format of a name, `path/to/file.py:NAME`, or `module:NAME`.

    Raises:
        UsageError: there is none.
    """
    if name in FORMATS:
        return FORMATS[name]
    place = _entry_points().get(name, name)
    if ":" not in place:
        raise UsageError(
            f"unknown format {name!r}: {did_you_mean(name, names())}, or path/to/file.py:NAME for your own"
        )
    loaded = load_object(place)
    if not isinstance(loaded, Format):
        raise UsageError(f"{place} is no oreo.data.interchange.spec.Format, got {type(loaded).__name__}")
    return loaded


def _entry_points() -> dict[str, str]:
    return {point.name: point.value for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}


def detect(path: Path) -> Format:
    """The format of a file or folder, by what is in it.

    Raises:
        DataError: it is of none, or of several of which none stands out; both are named.
    """
    readable = [*(record for record in FORMATS.values() if record.read), *map(find, sorted(_entry_points()))]
    for record in readable:
        if record.opens is not None and record.opens(path):
            return record
    common = [record for record in readable if record.rows is None]
    fault = ""
    for row in itertools.islice(rows(path), _LOOKED_AT):
        fault = fault or (f"; {path}, line {row.line}: {row.fault}" if row.fault else "")
        fitting = [] if row.fault else [record for record in common if record.fits(row.value)]
        lesser = {name for record in fitting for name in record.instead_of}
        fitting = [record for record in fitting if record.name not in lesser]
        if len(fitting) > 1:
            several = " and ".join(record.name for record in fitting)
            raise DataError(f"{path}, line {row.line} may be of the formats {several}; say which by --format")
        if fitting:
            return fitting[0]
    raise DataError(
        f"{path} is of no format that is known{fault}; `oreo buffer formats` lists them, --format insists on one"
    )
