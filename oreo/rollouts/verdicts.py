"""Verdicts of `oreo.rollouts.verify` on a whole buffer, kept as they come, so that a killed run goes on.

A ledger is where they are kept: a report, a JSON line a verdict, or a new buffer of the episodes as they were played,
each with its verdict in `extra["verified"]`.
"""

from __future__ import annotations

import contextlib
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo.data.derived import came_from
from oreo.data.filter_words import CAME_FROM
from oreo.errors import DataError, UsageError
from oreo.files import writing
from oreo.trajectory import Trajectory

if TYPE_CHECKING:
    from oreo.data.views import BufferView
    from oreo.rollouts.verify import Verifier
    from oreo.rollouts.verify_workers import Verifiers

VERIFIED = "verified"
"""In `Trajectory.extra`: the verdict."""
Verdicts = dict[int, dict[str, Any]]
"""By the number of the episode in its buffer; see `oreo.rollouts.verify.Verdict.to_json`."""


@dataclass
class Ledger:
    """What is known already, and what takes more. Without anything else, nothing is kept."""

    done: Verdicts = field(default_factory=dict)
    add: Callable[[int, dict[str, Any], Trajectory | None], object] = lambda number, verdict, played: None


def verify_all(
    source: BufferView,
    verifier: Verifier | Verifiers,
    ledger: Ledger,
    on_verdict: Callable[[Verdicts], object] = lambda verdicts: None,
) -> Verdicts:
    """Play every episode of a view again that the ledger lacks, in order.

    Args:
        on_verdict: called with all there are after each.
    """
    source = source.fixed()
    numbers = [number for number, _ in source.numbered("won")]
    verdicts = {number: ledger.done[number] for number in numbers if number in ledger.done}
    on_verdict(verdicts)
    under_way: deque[tuple[int, str]] = deque()

    def missing() -> Iterator[Trajectory]:
        for number, episode in zip(numbers, source, strict=True):
            if number not in ledger.done:
                under_way.append((number, episode.game))
                yield episode

    for verdict, played in verifier.verify_each(missing()):
        number, game = under_way.popleft()
        told = {"game": game, **verdict.to_json()}
        if played is not None:
            moved = came_from(played, source.path, number)
            played = replace(moved, extra={**moved.extra, VERIFIED: told})
        ledger.add(number, told, played)
        verdicts[number] = told
        on_verdict(verdicts)
    return dict(sorted(verdicts.items()))


def summary(verdicts: Mapping[int, Mapping[str, Any]]) -> dict[str, Any]:
    """How many episodes reproduce, what differs first in the others, and how many end as they say."""
    told = list(verdicts.values())
    differences = Counter(one["difference"]["what"] for one in told if one["difference"])
    beyond = Counter(one["beyond_cut_texts"]["what"] for one in told if one["beyond_cut_texts"])
    return {
        "episodes": len(told),
        "reproduce": sum(one["reproduces"] for one in told),
        "reproduce_but_for_cut_texts": sum(not one["error"] and not one["beyond_cut_texts"] for one in told),
        "first_difference": dict(differences.most_common()),
        "beyond_cut_texts": dict(beyond.most_common()),
        "outcome_holds": sum(one["outcome_holds"] for one in told),
        "claimed_and_not_won": sum(one["claimed"] and one["won"] is False for one in told),
        "won_and_not_claimed": sum(one["won"] is True and not one["claimed"] for one in told),
        "not_played": sum(bool(one["error"]) for one in told),
    }


@contextlib.contextmanager
def report(path: Path, source: BufferView, *, resume: bool) -> Iterator[Ledger]:
    """Verdicts as JSON lines.

    Raises:
        UsageError: it is there already, and nothing is to be resumed.
        DataError: it is no report, or one of another buffer.
    """
    _refuse_existing(path, resume)
    done, whole = _read(path, source) if path.exists() else ({}, 0)
    with writing(path):
        file = path.open("ab")
    with file:
        with writing(path):
            file.truncate(whole)  # the last line may have been under way when its writer was killed

        def add(number: int, told: dict[str, Any], played: Trajectory | None) -> None:
            with writing(path):
                file.write(_line(number, told).encode("utf-8"))
                file.flush()

        yield Ledger(done, add)


def _line(number: int, told: Mapping[str, Any]) -> str:
    return json.dumps({"episode": number, **told}) + "\n"


def _read(path: Path, source: BufferView) -> tuple[Verdicts, int]:
    """The verdicts of a report, and how many bytes its whole lines have."""
    games = dict(source.numbered("game"))
    done: Verdicts = {}
    whole = 0
    with path.open("rb") as file:
        for line_number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                break
            try:
                told = json.loads(line)
                number, *_ = told.pop("episode"), told["reproduces"], told["beyond_cut_texts"], told["error"]
            except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
                raise DataError(f"{path}, line {line_number}: it is no verdict; give --report a new name") from None
            if games.get(number, (told.get("game"),)) != (told.get("game"),):
                raise DataError(f"{path}, line {line_number}: it is a report on another buffer than {source.path}")
            done[number] = told
            whole += len(line)
    return done, whole


@contextlib.contextmanager
def repaired(path: Path, source: BufferView, *, resume: bool) -> Iterator[Ledger]:
    """The episodes as they were played, in a new buffer. Those that could not be played are not in it.

    Raises:
        UsageError: it is there already, and nothing is to be resumed.
        DataError: it holds other episodes.
    """
    from oreo.data.buffer import TrajectoryBuffer

    _refuse_existing(path, resume)
    with TrajectoryBuffer(path) as target:
        done: Verdicts = {}
        for (extra,) in target.columns("extra"):
            origin, told = _origin(extra)
            if origin.get("buffer") != str(source.path) or not isinstance(told, dict):
                raise DataError(f"{path} holds episodes that are no repaired ones of {source.path}; give a new name")
            done[origin["episode"]] = told

        def add(number: int, told: dict[str, Any], played: Trajectory | None) -> None:
            if played is not None:
                target.append(played)

        yield Ledger(done, add)


def _origin(extra: str) -> tuple[dict[str, Any], Any]:
    content = json.loads(extra)
    history = content.get(CAME_FROM)
    last = history[-1] if isinstance(history, list) and history else None
    return (last if isinstance(last, dict) and isinstance(last.get("episode"), int) else {}), content.get(VERIFIED)


def _refuse_existing(path: Path, resume: bool) -> None:
    if path.exists() and not resume:
        raise UsageError(f"{path} is there already; give a new name, or --resume to go on with it")
