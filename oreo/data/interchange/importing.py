"""Files → buffer: every row is read and checked before the first one is stored, and none is stored twice.

An episode is known again by a digest of its row, which `extra["imported_from"]` keeps with the file and line it came
from: an import that was interrupted goes on when it is run again. A row that stands twice in the files is stored twice.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from oreo.data.buffer import TrajectoryBuffer
from oreo.data.interchange.endings import with_outcome
from oreo.data.interchange.registry import detect, find
from oreo.data.interchange.sources import Row, rows
from oreo.data.interchange.spec import Episode, Format, Reading, SetAside, plain
from oreo.data.journal import alone
from oreo.data.records import decoded, to_record
from oreo.errors import DataError, UsageError
from oreo.matching import Match, Matched
from oreo.plugins import reason
from oreo.trajectory import Trajectory

SOURCE = "imported_from"
"""What `extra` has of an episode that was imported: file, line, format, digest of the row; where there is something to
say, the part of a row of several episodes, the game that the source named, the games that fit, and what stood there
before, of an earlier import."""
_LOCK = ".import.lock"
"""In the buffer, while an import stores into it."""
_MOST_NAMED = 1000
"""Of each kind of thing that the report names; all are counted."""


@dataclass
class Report:
    """What an import has done."""

    files: list[str] = field(default_factory=list)
    formats: list[str] = field(default_factory=list)
    episodes: int = 0
    """That were read, those among them that were there already."""
    stored: int = 0
    there_already: int = 0
    steps: int = 0
    steps_with_tokens: int = 0
    """Those whose tokens are stored as they were sampled."""
    won: int = 0
    matched: int = 0
    """Episodes that have found their game."""
    without_game: int = 0
    """Those whose environment has looked for it in vain."""
    left_out: int = 0
    """Rows that could not be read."""
    ambiguous: list[dict[str, Any]] = field(default_factory=list)
    """Of those without a game, the ones that several fit: where, and which games. The first thousand, as below."""
    unmatched: list[dict[str, Any]] = field(default_factory=list)
    """The others: where, and why."""
    extra: dict[str, int] = field(default_factory=dict)
    """Fields that have no place and went to `extra`, and in how many episodes."""
    set_aside: dict[str, int] = field(default_factory=dict)
    """Why rows that were read hold no episode, and how many."""
    unread: list[dict[str, Any]] = field(default_factory=list)
    """Rows that could not be read: file, line, reason."""


def import_files(
    paths: Sequence[Path],
    into: Path,
    *,
    format: str | None = None,
    reading: Reading | None = None,
    match: Match | None = None,
    won: bool | None = None,
    skip: bool = False,
    seen: Callable[[str, int], object] | None = None,
) -> Report:
    """Read files and store their episodes.

    Args:
        into: a buffer; made where there is none.
        format: a name as `find` knows it; None: found by looking at each file.
        match: finds an episode's game; None: episodes stay as they are read.
        won: the outcome of episodes whose source does not say it, and that could not be played.
        skip: leave out rows that cannot be read, which the report then names.
        seen: called with "reading", "storing" or what is waited for, and the number of episodes so far.

    Raises:
        UsageError: a format that there is not, or is not read.
        DataError: something cannot be read and `skip` is not set, or the outcome of an episode is not known; nothing
            has been stored then.
    """
    reading = reading or Reading()
    opened = [(path, find(format) if format else detect(path)) for path in paths]
    for path, kind in opened:
        if kind.read is None:
            raise UsageError(f"the format {kind.name} is written only; `oreo buffer formats` says which are read")
        if kind.tells_actions and reading.pattern is not None:
            raise UsageError(f"the format {kind.name} says itself what the actions are; leave out the action pattern")
        if kind.opens is not None and not kind.opens(path):
            raise DataError(f"{path} is not what the format {kind.name} reads: {kind.about}")
    report = Report([str(path) for path, _ in opened], sorted({kind.name for _, kind in opened}))
    plans: list[_Plan] = []
    kwargs: dict[str, dict[str, object]] = {}
    for place, result in _all(opened, reading, report, skip):
        if seen is not None:
            seen("reading", len(plans))
        matched = _checked(place, result, match, won)
        if isinstance(matched, str):
            _unread(report, skip, place, matched)
            plans.append(_Plan(place.digest, None))
        else:
            _count(report, place, result, matched)
            plans.append(_planned(place, matched, kwargs))
    buffer = TrajectoryBuffer(into)  # made now, when everything has been read

    def waits() -> None:
        if seen is not None:
            seen("waiting for another import into this buffer", len(plans))

    # What an import finds there, it does not store: of two into one buffer, the second begins when the first ends.
    with alone(buffer.path / _LOCK, waits), buffer:
        before = _digests(buffer)
        for at, (place, result) in enumerate(_all(opened, reading, Report(), skip)):
            if at >= len(plans) or place.digest != plans[at].digest:
                raise DataError(f"{place.path} has changed since it was read; run it again")
            if plans[at].won is None:
                continue
            if before[place.digest]:
                before[place.digest] -= 1
                report.there_already += 1
                continue
            buffer.append(_completed(place, result, plans[at]))
            report.stored += 1
            if seen is not None:
                seen("storing", report.stored)
    return report


_TOLD = ("env_id", "game", "task", "task_type", "dialect")
"""What an environment says of an episode, beside `env_kwargs` and `won`."""


class _Plan(NamedTuple):
    """What is kept of an episode between reading and storing; there may be a million of them."""

    digest: str
    won: bool | None
    """None: it is not stored."""
    facts: tuple[str, ...] = ()
    """Of `_TOLD`."""
    env_kwargs: dict[str, object] = {}
    games: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Place:
    """Where an episode is from."""

    path: Path
    format: str
    line: int
    part: int
    """Of the episodes of a row, counted from 0."""
    digest: str


def _all(
    opened: Sequence[tuple[Path, Format]], reading: Reading, report: Report, skip: bool
) -> Iterator[tuple[_Place, Episode]]:
    """Every episode of every file; what cannot be read, and what holds no episode, goes into the report."""
    for path, kind in opened:
        assert kind.read is not None, "import_files refuses formats that are written only"
        for row in (kind.rows or rows)(path):
            place = _Place(path, kind.name, row.line, 0, "")
            if row.fault:
                _unread(report, skip, place, row.fault)
                continue
            try:
                if not isinstance(row.value, dict):
                    raise DataError(f"the row is {row.value!r:.40}, expected an object with named fields")
                results = list(kind.read(row.value, reading))
                digests = [_digest(row, part) for part in range(len(results))]
            except DataError as error:
                _unread(report, skip, place, str(error))
                continue
            except RecursionError:
                _unread(report, skip, place, "it is nested too deeply")
                continue
            except Exception as error:  # of a format of the user's own
                raise DataError(f"{path}, line {row.line}: the format {kind.name} failed: {reason(error)}") from error
            for part, result in enumerate(results):
                if isinstance(result, SetAside):
                    report.set_aside[result.reason] = report.set_aside.get(result.reason, 0) + 1
                else:
                    yield replace(place, part=part, digest=digests[part]), result


def _digest(row: Row, part: int) -> str:
    content = json.dumps([plain(row.value), part], sort_keys=True)
    return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _unread(report: Report, skip: bool, place: _Place, reason: str) -> None:
    if not skip:
        raise DataError(
            f"{place.path}, line {place.line}: {reason}; nothing is stored. --skip leaves out what cannot be read"
        )
    report.left_out += 1
    if len(report.unread) < _MOST_NAMED:
        report.unread.append({"file": str(place.path), "line": place.line, "reason": reason})


def _checked(place: _Place, result: Episode, match: Match | None, won: bool | None) -> Matched | str:
    """What will be stored of an episode but for its steps; or why nothing can be."""
    try:
        to_record(result.trajectory)  # by field, before anybody looks at it
        plan = Matched(result.trajectory, result.outcome_known)
        if match is not None:
            plan = match(result.trajectory, result.outcome_known)
        if won is not None and not plan.outcome_known:  # what was played is surer than what is said
            plan = replace(plan, trajectory=replace(plan.trajectory, won=won), outcome_known=True)
    except (DataError, UsageError) as error:  # a name that no game has
        return str(error)
    except RecursionError:
        return "it is nested too deeply"
    if not plan.trajectory.env_id:
        return "nothing says which environment it is from; say --env"
    if not plan.outcome_known:
        why = "it went another way in its game than is recorded" if plan.found else plan.why
        played = f", and playing it does not, either ({why})" if why else ""
        return f"the format {place.format} does not say whether it was won{played}; say --won or --lost"
    return plan


def _with_outcome(trajectory: Trajectory, won: bool) -> Trajectory:
    steps = with_outcome(trajectory.steps, float(won))
    return replace(trajectory, steps=steps, won=won, terminated=won, truncated=not won)


def _planned(place: _Place, matched: Matched, kwargs: dict[str, dict[str, object]]) -> _Plan:
    """What is kept of an episode; what many have in common is there once."""
    told = matched.trajectory
    same = kwargs.setdefault(json.dumps(told.env_kwargs, sort_keys=True, default=str), told.env_kwargs)
    facts = tuple(sys.intern(str(getattr(told, name))) for name in _TOLD)
    return _Plan(place.digest, told.won, facts, same, matched.games)


def _count(report: Report, place: _Place, result: Episode, plan: Matched) -> None:
    report.episodes += 1
    report.steps += len(result.trajectory)
    report.steps_with_tokens += sum(step.token_ids is not None for step in result.trajectory.steps)
    report.won += plan.trajectory.won
    report.matched += plan.found is True
    where = {"file": str(place.path), "line": place.line}
    if plan.found is False:
        report.without_game += 1
        facts: dict[str, Any] = {"why": plan.why, "game": result.trajectory.game, "task": plan.trajectory.task}
        named, facts = (report.ambiguous, {"games": list(plan.games)}) if plan.games else (report.unmatched, facts)
        if len(named) < _MOST_NAMED:
            named.append(where | facts)
    for name in result.trajectory.extra:
        report.extra[name] = report.extra.get(name, 0) + 1


def _completed(place: _Place, result: Episode, plan: _Plan) -> Trajectory:
    """The episode as it is stored: what was read, with what the environment knows of it."""
    assert plan.won is not None, "what has no outcome is not stored"
    trajectory = result.trajectory if result.outcome_known else _with_outcome(result.trajectory, plan.won)
    told: dict[str, Any] = dict(zip(_TOLD, plan.facts, strict=True))
    source = {
        "file": place.path.name,
        "line": place.line,
        "format": place.format,
        "digest": place.digest,
        "part": place.part or None,
        "game": trajectory.game if trajectory.game != told["game"] else None,
        "games": list(plan.games) or None,
        "before": trajectory.extra.get(SOURCE),
    }
    extra = {**trajectory.extra, SOURCE: {name: value for name, value in source.items() if value is not None}}
    return replace(trajectory, env_kwargs=plan.env_kwargs, extra=extra, **told)


def _digests(buffer: TrajectoryBuffer) -> Counter[str]:
    """The rows that a buffer's episodes are from; a file is read at a time."""
    digests: Counter[str] = Counter()
    for file in buffer.files()[0]:
        for _, (extra,) in file.columns(["extra"]):
            source = decoded(extra or "{}", "extra").get(SOURCE)
            if isinstance(source, dict) and isinstance(source.get("digest"), str):
                digests[source["digest"]] += 1
    return digests
