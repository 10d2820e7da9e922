"""Buffer → file, and what of the episodes the file cannot hold.

What is lost is found by reading each written row again and comparing the episode with the one that was stored, field by
field; formats that are written only say what they hold.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import IO, Any

from oreo.data.interchange.registry import find
from oreo.data.interchange.spec import Episode, Format, Reading
from oreo.data.making import making
from oreo.errors import DataError, OreoError, UsageError
from oreo.trajectory import Step, Trajectory


@dataclass
class Report:
    """What an export has done."""

    episodes: int = 0
    """That were read from the buffer."""
    rows: int = 0
    """That were written."""
    lost: dict[str, int] = field(default_factory=dict)
    """Fields that the file does not hold, and of how many episodes."""


def export(
    trajectories: Iterable[Trajectory],
    file: Path,
    format: str,
    *,
    seen: Callable[[int], object] | None = None,
) -> Report:
    """Write episodes into a new file.

    Args:
        format: a name as `oreo.data.interchange.registry.find` knows it.
        seen: called with the number of episodes so far.

    Raises:
        UsageError: the format is not written, or something is there already.
        DataError: an episode that the format cannot hold, or the file cannot be written; there is none then.
    """
    kind = find(format)
    if kind.write is None and kind.save is None:
        raise UsageError(f"the format {kind.name} is read only; `oreo buffer formats` says which are written")
    report = Report()
    lost: Counter[str] = Counter()

    def counted() -> Iterator[Trajectory]:
        for trajectory in trajectories:
            report.episodes += 1
            if kind.holds or kind.read is None:
                lost.update(_not_held(trajectory, kind.holds))
            elif kind.write is not None:
                lost.update(lost_of(kind, trajectory))
            yield trajectory
            if seen is not None:
                seen(report.episodes)

    try:
        with making(file) as new:
            if kind.save is not None:
                kind.save(counted(), new)
                report.rows = report.episodes
            elif kind.write is not None and kind.container == "files":
                report.rows = _write_files(kind.write(counted()), new)
            elif kind.write is not None:
                with new.open("w", encoding="utf-8") as opened:
                    report.rows = _write_rows(kind, kind.write(counted()), opened)
    except OSError as error:
        raise DataError(f"cannot write {file} ({error.strerror or error}); there is none now") from error
    report.lost = dict(sorted(lost.items()))
    return report


def _write_files(rows: Iterable[Any], folder: Path) -> int:
    folder.mkdir()
    count = 0
    for count, row in enumerate(rows, 1):
        (folder / f"{count:06d}.json").write_text(written(row) + "\n", encoding="utf-8")
    return count


def _write_rows(kind: Format, rows: Iterable[Any], opened: IO[str]) -> int:
    count = 0
    if kind.container == "json":
        opened.write("[")
    for row in rows:
        opened.write({"json": ",\n" if count else "\n"}.get(kind.container, ""))
        opened.write(written(row) + ("" if kind.container == "json" else "\n"))
        count += 1
    opened.write("\n]\n" if kind.container == "json" else "")
    return count


def written(row: Any) -> str:
    """A row as JSON text.

    Raises:
        DataError: it holds numbers that JSON has not.
    """
    try:
        return json.dumps(row, ensure_ascii=False, allow_nan=False)
    except ValueError:
        raise DataError(
            "a number of an episode is none that JSON has (nan or inf); such an episode stays where it is"
        ) from None


def lost_of(kind: Format, trajectory: Trajectory) -> set[str]:
    """The fields of an episode that are not the same after it was written and read again."""
    assert kind.write is not None and kind.read is not None
    try:
        results = [
            result
            for row in kind.write([trajectory])
            for result in kind.read(json.loads(written(row)), Reading(env=trajectory.env_id))
        ]
    except OreoError:
        return {"all (it cannot be read again)"}
    episodes = [result for result in results if isinstance(result, Episode)]
    if len(episodes) != 1:
        return {f"all (it is read again as {len(episodes)} episodes)"}
    back = episodes[0]
    outcome = set() if back.outcome_known else {"won"}
    return outcome | differing(trajectory, back.trajectory)


def differing(one: Trajectory, other: Trajectory) -> set[str]:
    """Names of the fields in which two episodes differ: `won`, `steps.reward`, `extra.id`."""
    names = set()
    for item in fields(Trajectory):
        mine, theirs = getattr(one, item.name), getattr(other, item.name)
        if item.name == "extra":
            names |= {f"extra.{key}" for key, value in mine.items() if not same(value, theirs.get(key))}
        elif item.name == "steps":
            names |= _differing_steps(mine, theirs)
        elif not same(mine, theirs):
            names.add(item.name)
    return names


def _differing_steps(one: tuple[Step, ...], other: tuple[Step, ...]) -> set[str]:
    if len(one) != len(other):
        return {"steps"}
    return {
        f"steps.{item.name}"
        for item in fields(Step)
        for mine, theirs in zip(one, other, strict=True)
        if not same(getattr(mine, item.name), getattr(theirs, item.name))
    }


def same(one: Any, other: Any) -> bool:
    """Equality in which tuples are lists, and nan is nan."""
    if isinstance(one, float) and isinstance(other, float) and math.isnan(one) and math.isnan(other):
        return True
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def _not_held(trajectory: Trajectory, holds: tuple[str, ...]) -> set[str]:
    """The fields that say something, and are not among those that a format holds."""
    names = {item.name for item in fields(Trajectory) if item.name != "steps" and _says(trajectory, item)}
    names |= {f"steps.{item.name}" for item in fields(Step) for step in trajectory.steps if _says(step, item)}
    return names - set(holds)


def _says(record: Any, item: Any) -> bool:
    """Whether a field has another value than the default one, or none is its default."""
    default = item.default_factory() if item.default_factory is not MISSING else item.default
    value = getattr(record, item.name)
    return bool(value not in ("", None)) if default is MISSING else bool(value != default)
