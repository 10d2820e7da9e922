"""What generated problems say: five kinds, each a chain of calculations in a few plain words.

`draft` draws one: sentences, a question and, line by line in the manner of GSM8K, the worked solution. Numbers are
whole and never negative, divisions come out even. The words are few, so that a model of a million parameters can learn
them.
Which split a problem belongs to is decided in generator.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from oreo.envs.draws import Draws
from oreo.errors import UsageError, did_you_mean

NAMES = {
    **dict.fromkeys(("Ann", "Eva", "Mia", "Lea", "Zoe", "Ida"), ("She", "her")),
    **dict.fromkeys(("Ben", "Leo", "Max", "Tom", "Sam", "Jim"), ("He", "him")),
}
ITEMS = ("apples", "pens", "books", "cards", "shells", "stamps", "toys", "eggs", "cups", "coins")
PRODUCTS = ("toys", "cups", "chairs", "lamps", "bags", "boxes of nails")
ASIDES = (
    "{name} is {n} years old.",
    "There are {n} trees in the park.",
    "The bus has {n} seats.",
    "{name} lives at number {n}.",
    "The cat is {n} weeks old.",
    "The street has {n} lamps.",
)
_WANTED = {"+": "more", "-": "fewer"}


@dataclass(frozen=True)
class Limits:
    largest: int
    """Of the numbers given."""
    highest: int
    """Of all numbers on the way."""
    operations: str


@dataclass
class Draft:
    """A problem in the making."""

    subject: str
    sentences: list[str] = field(default_factory=list)
    asks: str = ""
    lines: list[str] = field(default_factory=list)
    calculations: list[tuple[str, tuple[int, ...]]] = field(default_factory=list)
    """(operator, operands), in order; a sum may have several operands."""
    answer: int = 0

    def calculate(self, before: str, operator: str, operands: Sequence[int], after: str) -> int:
        """Add a line to the solution, and return its value."""
        value = _apply(operator, operands)
        self.lines.append(
            f"{before}{f' {operator} '.join(map(str, operands))} = "
            f"<<{operator.join(map(str, operands))}={value}>>{value}{after}"
        )
        self.calculations.append((operator, tuple(operands)))
        self.answer = value
        return value

    @property
    def question(self) -> str:
        return " ".join([*self.sentences, self.asks])

    @property
    def solution(self) -> str:
        return "\n".join([*self.lines, f"#### {self.answer}"])


class _NoRoom(Exception):
    """The numbers drawn so far leave no way on; another draw may."""


def draft(
    draws: Draws, limits: Limits, steps: Sequence[int], subjects: Sequence[str], distractors: int
) -> Draft | None:
    """A problem of one of these kinds with one of these numbers of steps. None: this draw led nowhere."""
    count = draws.choice(steps)
    subject = draws.choice(subjects_of(count, limits.operations, subjects))
    try:
        problem = SUBJECTS[subject].tell(draws, limits, count)
    except _NoRoom:
        return None
    name = next((name for name in NAMES if name in problem.question), None) or draws.choice(list(NAMES))
    asides = list(ASIDES)
    for _ in range(distractors):
        aside = asides.pop(draws.between(0, len(asides) - 1)).format(name=name, n=draws.between(2, limits.largest))
        # Not between two sentences of the story, where "them" and "more" would refer to it.
        problem.sentences.insert(draws.choice((0, len(problem.sentences))), aside)
    return problem


def subjects_of(steps: int, operations: str, subjects: Sequence[str] = ()) -> list[str]:
    """The kinds, among those asked for, that can be told in N steps with these operations.

    Raises:
        UsageError: none can, or there is no kind of that name.
    """
    for name in subjects:
        if name not in SUBJECTS:
            raise UsageError(f"no subject {name!r} in generated: {did_you_mean(name, sorted(SUBJECTS))}")
    able = [name for name in subjects or SUBJECTS if SUBJECTS[name].possible(steps, operations)]
    if not able:
        raise UsageError(
            f"no generated problem of {', '.join(subjects) or 'any subject'} takes {steps} steps with the operations "
            f"{operations}: allow more operations or other subjects ({', '.join(sorted(SUBJECTS))})"
        )
    return able


# The kinds.


def _arithmetic(draws: Draws, limits: Limits, steps: int) -> Draft:
    problem = Draft("arithmetic")
    value = _amount(draws, limits)
    written, last = str(value), ""
    for _ in range(steps):
        operator, n = _operation(draws, limits, value)
        if operator in "*/" and last and last in "+-":
            written = f"({written})"
        written, last = f"{written} {operator} {n}", operator
        value = problem.calculate("", operator, (value, n), "")
    problem.asks = draws.choice(("Compute {}.", "What is {}?", "Work out {}.", "Find {}.")).format(written)
    return problem


_EVENTS = {
    "+": ("{She} buys {n} more.", "{She} finds {n} more.", "A friend gives {her} {n} more."),
    "-": ("{She} gives {n} away.", "{She} loses {n}.", "{She} sells {n}."),
    "*": ("Soon {she} has {n} times as many.", "A year later {she} has {n} times as many."),
    "/": ("{She} makes {n} equal heaps and keeps one.", "{She} keeps one of {n} equal parts."),
}


def _story(draws: Draws, limits: Limits, steps: int) -> Draft:
    problem = Draft("story")
    name, items, value = draws.choice(list(NAMES)), draws.choice(ITEMS), _amount(draws, limits)
    she, her = NAMES[name]
    problem.sentences.append(f"{name} has {value} {items}.")
    for step in range(steps):
        operator, n = _operation(draws, limits, value)
        event = draws.choice(_EVENTS[operator])
        problem.sentences.append(event.format(She=she, she=she.lower(), her=her, n=n))
        value = problem.calculate(f"{name} {'now' if step else 'then'} has ", operator, (value, n), f" {items}.")
    problem.asks = f"How many {items} does {name} have now?"
    return problem


def _comparison(draws: Draws, limits: Limits, steps: int) -> Draft:
    problem = Draft("comparison")
    together = steps > 1 and "+" in limits.operations and draws.choice((True, False))
    people, items = _several(draws, list(NAMES), steps + 1), draws.choice(ITEMS)
    first = value = _amount(draws, limits)
    problem.sentences.append(f"{people[0]} has {first} {items}.")
    relations = steps - together
    for person, next_person in zip(people, people[1 : relations + 1], strict=False):
        operator, n = _operation(draws, limits, value)
        if operator == "/":
            sentence = f"{person} has {n} times as many as {next_person}."
        elif operator == "*":
            sentence = f"{next_person} has {n} times as many as {person}."
        else:
            sentence = f"{next_person} has {n} {_WANTED[operator]} than {person}."
        problem.sentences.append(sentence)
        value = problem.calculate(f"{next_person} has ", operator, (value, n), f" {items}.")
    last = people[relations]
    if together:
        _fits(first + value, limits)
        problem.calculate("Together they have ", "+", (first, value), f" {items}.")
        problem.asks = f"How many {items} do {people[0]} and {last} have together?"
    else:
        problem.asks = f"How many {items} does {last} have?"
    return problem


def _shop_plans(steps: int, operations: str) -> list[tuple[int, bool, bool]]:
    """Return (things bought, whether there is a coupon, whether the cost is shared) that take N steps."""
    return [
        (things, coupon, shared)
        for things in (1, 2, 3)
        for coupon in (False, True)
        for shared in (False, True)
        if things + (things > 1) + coupon + shared == steps
        and {"*"} | ({"+"} if things > 1 else set()) | ({"-"} if coupon else set()) | ({"/"} if shared else set())
        <= set(operations)
    ]


def _shop(draws: Draws, limits: Limits, steps: int) -> Draft:
    problem = Draft("shop")
    things, coupon, shared = draws.choice(_shop_plans(steps, limits.operations))
    name = draws.choice(list(NAMES))
    bought, costs = [], []
    for item in _several(draws, list(ITEMS), things):
        count, price = _factor(draws, limits), _amount(draws, limits)
        bought.append(f"{count} {item} at {price} dollars each")
        _fits(count * price, limits)
        costs.append(problem.calculate(f"The {item} cost ", "*", (count, price), " dollars."))
    problem.sentences.append(f"{name} buys {_listed(bought)}.")
    cost = costs[0]
    if things > 1:
        _fits(sum(costs), limits)
        cost = problem.calculate("In all they cost ", "+", costs, " dollars.")
    if coupon:
        off = _between(draws, 2, min(limits.largest, cost - 1))
        problem.sentences.append(f"A coupon takes {off} dollars off.")
        cost = problem.calculate("With the coupon they cost ", "-", (cost, off), " dollars.")
    problem.asks = f"How many dollars does {name} pay?"
    if shared:
        people = _divisor(draws, limits, cost)
        problem.sentences.append(f"{people} people share the cost equally.")
        problem.calculate("Each pays ", "/", (cost, people), " dollars.")
        problem.asks = "How many dollars does each pay?"
    return problem


_STAGES = {"days": "*", "more": "+", "broken": "-", "boxes": "/"}


def _work_plans(steps: int, operations: str) -> list[tuple[str, ...]]:
    """Return what is told besides the first product, in order, that take N steps."""
    if "*" not in operations:
        return []
    stages = [stage for stage, operator in _STAGES.items() if operator in operations]
    plans = [tuple(stage for bit, stage in enumerate(stages) if mask >> bit & 1) for mask in range(1 << len(stages))]
    return [plan for plan in plans if len(plan) == steps - 1]


def _work(draws: Draws, limits: Limits, steps: int) -> Draft:
    problem = Draft("work")
    product = draws.choice(PRODUCTS)
    rate, hours = _amount(draws, limits), _factor(draws, limits)
    plan = draws.choice(_work_plans(steps, limits.operations))
    a_day = " a day" if "days" in plan else ""
    problem.sentences += [f"A machine makes {rate} {product} an hour.", f"It runs {hours} hours{a_day}."]
    _fits(rate * hours, limits)
    made = problem.calculate("It makes ", "*", (rate, hours), f" {product}{a_day}.")
    problem.asks = f"How many {product} are there?"
    for stage in plan:
        if stage == "days":
            days = _factor(draws, limits)
            _fits(made * days, limits)
            problem.sentences.append(f"It runs for {days} days.")
            made = problem.calculate(f"In {days} days it makes ", "*", (made, days), f" {product}.")
        elif stage == "more":
            more = _amount(draws, limits)
            _fits(made + more, limits)
            problem.sentences.append(f"By hand {more} more are made.")
            made = problem.calculate("With those by hand there are ", "+", (made, more), f" {product}.")
        elif stage == "broken":
            broken = _between(draws, 2, min(limits.largest, made - 1))
            problem.sentences.append(f"Then {broken} of them break.")
            made = problem.calculate("Of these are left ", "-", (made, broken), f" {product}.")
        else:
            per_crate = _divisor(draws, limits, made)
            problem.sentences.append(f"A crate holds {per_crate} of them.")
            made = problem.calculate("They fill ", "/", (made, per_crate), " crates.")
            problem.asks = "How many crates do they fill?"
    return problem


@dataclass(frozen=True)
class _Subject:
    tell: Callable[[Draws, Limits, int], Draft]
    possible: Callable[[int, str], bool]
    """Whether it can be told in N steps with these operations."""


SUBJECTS = {
    "arithmetic": _Subject(_arithmetic, lambda steps, operations: True),
    "comparison": _Subject(_comparison, lambda steps, operations: True),
    "shop": _Subject(_shop, lambda steps, operations: bool(_shop_plans(steps, operations))),
    "story": _Subject(_story, lambda steps, operations: True),
    "work": _Subject(_work, lambda steps, operations: bool(_work_plans(steps, operations))),
}


# Numbers.


def _apply(operator: str, operands: Sequence[int]) -> int:
    value = operands[0]
    for operand in operands[1:]:
        if operator == "+":
            value += operand
        elif operator == "-":
            value -= operand
        elif operator == "*":
            value *= operand
        else:
            assert value % operand == 0, "divisions come out even"
            value //= operand
    return value


def _operation(draws: Draws, limits: Limits, value: int) -> tuple[str, int]:
    """An operation that can be done to `value`, and with what."""
    ranges = {
        "+": range(2, min(limits.largest, limits.highest - value) + 1),
        "-": range(2, min(limits.largest, value - 1) + 1),
        "*": range(2, min(9, limits.largest, limits.highest // value) + 1),
        "/": [n for n in range(2, min(9, limits.largest) + 1) if value % n == 0 and value > n],
    }
    possible = [operator for operator in limits.operations if ranges[operator]]
    if not possible:
        raise _NoRoom
    operator = draws.choice(possible)
    return operator, draws.choice(ranges[operator])


def _amount(draws: Draws, limits: Limits) -> int:
    return draws.between(2, min(limits.largest, limits.highest))


def _factor(draws: Draws, limits: Limits) -> int:
    return draws.between(2, min(9, limits.largest, limits.highest))


def _divisor(draws: Draws, limits: Limits, value: int) -> int:
    divisors = [n for n in range(2, min(9, limits.largest) + 1) if value % n == 0 and value > n]
    if not divisors:
        raise _NoRoom
    return draws.choice(divisors)


def _between(draws: Draws, low: int, high: int) -> int:
    if high < low:
        raise _NoRoom
    return draws.between(low, high)


def _fits(value: int, limits: Limits) -> None:
    if value > limits.highest:
        raise _NoRoom


# Words.


def _several(draws: Draws, words: list[str], count: int) -> list[str]:
    """Draw several different ones."""
    return [words.pop(draws.between(0, len(words) - 1)) for _ in range(count)]


def _listed(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
