"""Generated problems: seeded, as many as wanted, with worked solutions whose every number is computed.

    generate(7)                                   # problem 7 of the split train
    generate(7, "test", GeneratorSettings(steps=(3,), largest=50))

What they say is in stories.py. Here: the settings, the names (a name holds all that makes the problem), and how train
and test are kept apart. A problem's key is the multiset of its calculations, with the operands of sums and products
sorted: 3*4 and 12+5, however they are dressed. Whether a key belongs to test is decided by its hash, for all seeds and
settings alike, and a problem is drawn again until its key belongs to the split that was asked for. So no calculation of
a test problem, taken as a whole, is ever seen in train: not in other words, nor with other distractors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from oreo.envs.draws import Draws
from oreo.envs.math.problems import SPLITS, Problem, other_split, split_of
from oreo.envs.math.stories import Draft, Limits, draft, subjects_of
from oreo.errors import UsageError, did_you_mean

MOST_STEPS = 6
ATTEMPTS = 500
"""Draws of a problem until one has to be in the split."""
OPERATIONS = "+-*/"
PREFIX = "generated"


@dataclass(frozen=True)
class GeneratorSettings:
    """Settings of generated problems. Any of them may be given to the environment."""

    seed: int = 0
    """Of the whole set: problem 7 of seed 1 has nothing to do with problem 7 of seed 0."""
    steps: tuple[int, ...] = (2, 3, 4)
    """How many calculations a problem takes: any of these. The environment is told 3, or [2, 4], from 2 to 4."""
    largest: int = 20
    """No given number is larger. Factors and divisors have one digit."""
    digits: int = 3
    """No number on the way has more digits."""
    operations: str = OPERATIONS
    distractors: int = 0
    """Sentences in each problem whose number is of no use."""
    subjects: tuple[str, ...] = ()
    """Kinds of problems, of `oreo.envs.math.stories.SUBJECTS`; none: all that these operations allow."""

    @property
    def limits(self) -> Limits:
        return Limits(self.largest, 10**self.digits - 1, self.operations)


def generate(number: int, split: str = "train", settings: GeneratorSettings | None = None) -> Problem:
    """Problem `number` of a split: always the same one.

    Raises:
        UsageError: nothing can be drawn with these settings for this split.
    """
    settings = settings or GeneratorSettings()
    draws = Draws(settings.seed, SPLITS.index(split), number)
    for _ in range(ATTEMPTS):
        drafted = draft(draws, settings.limits, settings.steps, settings.subjects, settings.distractors)
        if drafted is not None and split_of(key(drafted)) == split:
            return Problem(
                name=name_of(number, split, settings),
                question=drafted.question,
                answer=str(drafted.answer),
                solution=drafted.solution,
                subject=drafted.subject,
                level=str(len(drafted.calculations)),
            )
    raise UsageError(
        f"no problem of the split {split} found in {ATTEMPTS} draws with {_written(settings) or 'these settings'}: "
        "allow larger numbers, more operations or other steps"
    )


def key(drafted: Draft) -> str:
    """Return what makes two problems the same: their calculations, in any order and any words."""
    written = []
    for operator, operands in drafted.calculations:
        in_order = sorted(operands) if operator in "+*" else operands
        written.append(operator.join(map(str, in_order)))
    return ";".join(sorted(written))


# Names.


def name_of(number: int, split: str, settings: GeneratorSettings) -> str:
    """Return a name such as generated/train/7, or generated/test/7/steps=3,largest=50 for other settings."""
    written = _written(settings)
    return f"{PREFIX}/{split}/{number}" + (f"/{written}" if written else "")


def _written(settings: GeneratorSettings) -> str:
    pairs = []
    for field in fields(GeneratorSettings):
        value = getattr(settings, field.name)
        if value != field.default:
            pairs.append(f"{field.name}={'_'.join(map(str, value)) if isinstance(value, tuple) else value}")
    return ",".join(pairs)


def by_name(name: str) -> Problem:
    """The problem that a name stands for, whatever was set when it was made.

    Raises:
        UsageError: no name of a generated problem.
    """
    try:
        prefix, split, number, *listed = name.split("/", 3)
        arguments = dict(pair.split("=", 1) for pair in listed[0].split(",")) if listed else {}
        if prefix != PREFIX or split not in SPLITS or not number.isdecimal() or len(number) > 18:
            raise ValueError
        settings = check_settings({what: _read(what, value) for what, value in arguments.items()})
        problem = generate(int(number), split, settings)
    except (ValueError, KeyError) as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(f"no problem {name!r}: expected one like {PREFIX}/train/7") from None
    if problem.name != name:
        raise UsageError(f"no problem {name!r}: it is called {problem.name}")
    return problem


def _read(what: str, value: str) -> Any:
    if what in ("steps", "subjects"):
        return tuple(int(part) if what == "steps" else part for part in value.split("_"))
    return value if what == "operations" else int(value)


# Settings as they are given.


def check_settings(arguments: dict[str, Any], levels: Sequence[str] | None = None) -> GeneratorSettings:
    """Checked settings, where a list of two steps has been read as a range already.

    Args:
        levels: of these numbers of steps only.
    Raises:
        UsageError: an unknown setting, or one that allows no problem.
    """
    names = [field.name for field in fields(GeneratorSettings)]
    for name in arguments:
        if name not in names:
            raise UsageError(f"unknown argument {name!r} of generated problems: {did_you_mean(name, names)}")
    for name, low, high in (("seed", 0, 2**63 - 1), ("largest", 4, 10**6), ("digits", 1, 9), ("distractors", 0, 3)):
        value = arguments.get(name, low)
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise UsageError(f"{name}={value!r}: expected a whole number from {low} to {high:,}")
    operations = arguments.get("operations", OPERATIONS)
    if not isinstance(operations, str) or not operations or set(operations) - set(OPERATIONS):
        raise UsageError(f"operations={operations!r}: expected some of {OPERATIONS}, such as '+-'")
    steps = arguments.get("steps", GeneratorSettings.steps)
    if not steps or not all(type(n) is int and 1 <= n <= MOST_STEPS for n in steps):
        raise UsageError(f"steps={steps!r}: expected a number from 1 to {MOST_STEPS}, or a range such as [2, 4]")
    if levels is not None:
        if not set(levels) <= {str(n) for n in steps}:
            raise UsageError(
                f"levels={list(levels)}: the level of a generated problem is its steps, here {sorted(steps)}; "
                f"set steps to have others, 1 to {MOST_STEPS}"
            )
        steps = [n for n in steps if str(n) in levels]
    settings = GeneratorSettings(
        **{
            **arguments,
            "operations": "".join(sorted(set(operations), key=OPERATIONS.index)),
            "steps": tuple(sorted(set(steps))),
            "subjects": tuple(sorted(set(arguments.get("subjects", ())))),
        }
    )
    for n in settings.steps:
        subjects_of(n, settings.operations, settings.subjects)
    return settings


def as_range(steps: Any) -> Any:
    """Read 3 as (3,) and [2, 4] as (2, 3, 4). What is neither stays as it is, to be refused."""
    if type(steps) is int:
        return (steps,)
    if isinstance(steps, list | tuple) and len(steps) == 2 and all(type(n) is int for n in steps):
        return tuple(range(steps[0], steps[1] + 1))
    return (steps,)


@dataclass(frozen=True)
class Generated:
    """Generated problems as a source: without end, or the first N."""

    split: str
    settings: GeneratorSettings
    levels: tuple[str, ...] | None = None
    """Those that were asked for by this name; `settings.steps` has no others."""
    limit: int | None = None

    @property
    def games(self) -> list[str] | None:
        if self.limit is None:
            return None
        return [name_of(number, self.split, self.settings) for number in range(self.limit)]

    def draw(self, rng: np.random.Generator) -> Problem:
        return generate(int(rng.integers(2**31 if self.limit is None else self.limit)), self.split, self.settings)

    def named(self, name: str) -> Problem:
        """The problem of this name, if it is one of those asked for.

        The settings say how problems are made: one that was made with others, such as more steps, is played too. The
        split, levels, subjects and a limit say which ones there are.
        """
        problem = by_name(name)
        _, split, number, *_ = name.split("/")
        if split != self.split:
            raise other_split(name, split, self.split)
        for what, value, wanted in (
            ("level", problem.level, self.levels),
            ("subject", problem.subject, self.settings.subjects),
        ):
            if wanted and value not in wanted:
                raise UsageError(f"{name} is of the {what} {value}, this environment has {what}s={list(wanted)}")
        if self.limit is not None:
            if int(number) >= self.limit or name != name_of(int(number), self.split, self.settings):
                last = name_of(self.limit - 1, self.split, self.settings)
                raise UsageError(f"{name} is not among the problems of limit={self.limit}: the last of them is {last}")
        return problem
