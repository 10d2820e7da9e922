"""A mathematical problem, and where problems come from as the environment sees it.

`Problem` is the data, `Problems` what every source offers, `Listed` the source that has all its problems in memory.
Sources without an end are in generator.py and reasoning.py; which is meant by a name is in sources.py.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from oreo.errors import UsageError, did_you_mean

SPLITS = ("train", "test")
TEST_SHARE = 5
"""Where we split ourselves: one problem in N belongs to test."""


@dataclass(frozen=True)
class Problem:
    name: str
    """The stable id, such as gsm8k/test/5f1d2c30a9be4477: see `id_of`."""
    question: str
    answer: str
    """The right answer, for grading alone."""
    solution: str = ""
    """A worked solution that ends in the marked answer; empty without one."""
    subject: str = ""
    level: str = ""
    row_name: str = field(default="", compare=False)
    """Where the problem was read from rows: what it is called by its row, such as gsm8k/test/12."""
    check: Callable[[str, float], bool] | None = field(default=None, compare=False, repr=False)
    """Whether an answer is right, found out within N seconds (else TimeoutError), where the source brings a
    checker of its own."""


class Problems(Protocol):
    """What a source offers. It never changes, so copies of an environment share it."""

    @property
    def games(self) -> list[str] | None:
        """The ids, None where there is no end of them."""
        ...

    def draw(self, rng: np.random.Generator) -> Problem: ...

    def named(self, name: str) -> Problem:
        """Find a problem. UsageError where none has that name, or it was not asked for: of the other split, of another
        subject or level, beyond the limit."""
        ...


def split_of(text: str) -> str:
    """Return the split of a problem told by this text: decided by its hash, so for all seeds and settings alike."""
    digest = hashlib.sha256(text.encode()).digest()
    return "test" if int.from_bytes(digest[:8], "big") % TEST_SHARE == 0 else "train"


def other_split(name: str, split: str, open_split: str) -> UsageError:
    """Refuse a problem of `split` where the split `open_split` is played."""
    return UsageError(
        f"{name} is a problem of the split {split}, this environment has {open_split}: set split={split!r}"
    )


def id_of(question: str, answer: str) -> str:
    """Return what a problem is called within its source and split, wherever in the file it stands: 16 hex digits."""
    return hashlib.sha256(json.dumps([question, answer]).encode()).hexdigest()[:16]


def by_content(problems: Iterable[Problem]) -> list[Problem]:
    """Problems that are named by their rows, SOURCE/SPLIT/12, named by what they say instead.

    So a line that is inserted makes no other problems of those behind it. The name by the row is kept, as episodes were
    stored under it before. A problem that is there several times gets a number: …-2, …-3.
    """
    seen: Counter[str] = Counter()
    renamed = []
    for problem in problems:
        name = f"{problem.name.rpartition('/')[0]}/{id_of(problem.question, problem.answer)}"
        seen[name] += 1
        if seen[name] > 1:
            name += f"-{seen[name]}"
        renamed.append(replace(problem, name=name, row_name=problem.name))
    return renamed


class Listed:
    """Problems that were all read. They are found by their names, and by what they were called by their rows."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self._problems = {problem.name: problem for problem in problems}
        self._by_row = {problem.row_name: problem for problem in problems if problem.row_name}
        self.games: list[str] | None = list(self._problems)

    def draw(self, rng: np.random.Generator) -> Problem:
        assert self.games
        return self._problems[self.games[int(rng.integers(len(self.games)))]]

    def named(self, name: str) -> Problem:
        assert self.games
        problem = self._problems.get(name) or self._by_row.get(name)
        if problem is None:
            raise UsageError(f"no problem {name!r}: expected one like {self.games[0]}, one of {len(self.games)}")
        return problem


def chosen(
    problems: Sequence[Problem],
    source: str,
    levels: Sequence[str] | None,
    subjects: Sequence[str] | None,
    limit: int | None,
) -> list[Problem]:
    """The problems of these levels and subjects, the first `limit` of them.

    Raises:
        UsageError: a level or subject that no problem has.
    """
    for what, asked in (("level", levels), ("subject", subjects)):
        values = sorted({getattr(problem, what) for problem in problems} - {""})
        for value in asked or ():
            if value not in values:
                hint = did_you_mean(value, values) if values else f"its problems name no {what}s"
                raise UsageError(f"no {what} {value!r} in {source}: {hint}")
    kept = [
        problem
        for problem in problems
        if (levels is None or problem.level in levels) and (subjects is None or problem.subject in subjects)
    ]
    if not kept:
        raise UsageError(f"{source}: no problem has both levels={levels} and subjects={subjects}")
    return kept[:limit]


def texts(what: str, value: Any) -> tuple[str, ...] | None:
    """Return one level or subject, or several, as texts: 5 -> ("5",); None stays None."""
    if value is None:
        return None
    several = [value] if isinstance(value, str | int) else list(value)
    if not several or not all(isinstance(item, str | int) for item in several):
        raise UsageError(f"{what}={value!r}: expected one or several, such as {what}=[1, 2] (JSON on the command line)")
    return tuple(str(item).removeprefix("Level ") if what == "levels" else str(item) for item in several)
