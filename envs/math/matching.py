"""Which mathematical problem an episode is of that was recorded elsewhere: by its question, in a source of problems.

A question is compared without regard to white space; where no problem's question is all of what the episode begins
with, it may stand inside, as in a prompt with instructions around it. Of several problems that are left, none is taken.

Where the source does not say whether the answer was right, the solution is graded.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from oreo.envs.matching import Recognize
from oreo.envs.math.grading import grade
from oreo.envs.math.problems import SPLITS, Problem
from oreo.envs.math.sources import SOURCES, ProblemQuery, open_source
from oreo.errors import DataError, UsageError, did_you_mean
from oreo.matching import Matched
from oreo.trajectory import Trajectory

_ENDLESS = ("generated", "reasoning_gym")
_FEWEST_CHARACTERS = 20
"""Of a question that is looked for inside a longer text: a shorter one could stand in any."""


def matcher(data: str | os.PathLike[str] | None = None) -> Recognize:
    """A function that finds the problem of an episode, and gives None where it has no source to look in.

    Args:
        data: the source, such as gsm8k:PATH; None, or a folder (of another environment's games): none.

    Raises:
        UsageError: a source that there is not, or that has no end.
        DataError: its files are missing or malformed.
    """
    source = "" if data is None else os.fspath(data)
    kind, colon, _ = source.partition(":")
    if not source or (Path(source).exists() and kind not in SOURCES):
        return lambda trajectory, outcome_known: None
    if not colon or kind not in SOURCES or kind in _ENDLESS:
        named = [form for name, form in SOURCES.items() if name not in _ENDLESS]
        raise UsageError(f"--data {source!r} is no source of problems to look in: {did_you_mean(source, named)}")
    questions = _Questions(source)

    def recognize(trajectory: Trajectory, outcome_known: bool) -> Matched:
        begins = trajectory.steps[0].observation if trajectory.steps else trajectory.task
        fitting = questions.fitting(_plain(begins))
        if len(fitting) != 1:
            why = f"{len(fitting)} problems fit" if fitting else f"{source} has no problem with its question"
            games = tuple(sorted(problem.name for _, problem in fitting))
            return Matched(replace(trajectory, game=""), outcome_known, False, why, games)
        split, problem = fitting[0]
        won = trajectory.won if outcome_known else _solved(trajectory, problem)
        kwargs = trajectory.env_kwargs or {"source": source, **({"split": split} if split else {})}
        told = replace(trajectory, env_kwargs=kwargs, game=problem.name, task=problem.question, won=won)
        return Matched(told, True, found=True)

    return recognize


def _solved(trajectory: Trajectory, problem: Problem) -> bool:
    message = "".join(("" if at == 0 else step.observation) + step.text for at, step in enumerate(trajectory.steps))
    return grade(message, problem.answer).correct


class _Questions:
    """Problems of all splits of a source, by their questions."""

    def __init__(self, source: str) -> None:
        self._problems: dict[str, list[tuple[str | None, Problem]]] = {}
        for split, problem in _problems(source):
            self._problems.setdefault(_plain(problem.question), []).append((split, problem))

    def fitting(self, text: str) -> list[tuple[str | None, Problem]]:
        """The problems whose question a text is; else those whose question is the longest that stands in it."""
        if text in self._problems:
            return self._problems[text]
        inside = [question for question in self._problems if len(question) >= _FEWEST_CHARACTERS and question in text]
        longest = max(map(len, inside), default=0)
        return [entry for question in inside if len(question) == longest for entry in self._problems[question]]


def _problems(source: str) -> Iterator[tuple[str | None, Problem]]:
    location = Path(source.partition(":")[2]).expanduser()
    refusals = []
    for split in (None,) if location.is_file() else SPLITS:
        try:
            problems = open_source(ProblemQuery(source, split, None, None, None, {}, {}))
        except DataError as error:  # one split of two may be there
            refusals.append(error)
            continue
        for name in problems.games or ():
            yield split, problems.named(name)
    if len(refusals) == len(SPLITS) or (refusals and location.is_file()):
        raise refusals[0]


def _plain(text: str) -> str:
    return " ".join(text.split())
