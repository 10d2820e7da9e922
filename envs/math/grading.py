r"""Is a response right? `grade(response, gold)` says correct, wrong, no_answer or timeout, and what the answer was.

Plain numbers and words are compared here, exactly and at once. All else (LaTeX, intervals, sets, expressions) goes to
math-verify in a process that is killed at the deadline: see pool.py.

    grade("48/2 = 24, so \\boxed{24.0}", "24")    -> Grade(outcome="correct", answer="24.0")
    grade("#### $1,200", "1250")                  -> Grade(outcome="wrong", answer="$1,200")

What counts as equal:

- numbers by value: 0.5, 1/2, \frac12, 50%; commas, currency signs and units aside. Where both say their unit and both
  units are known, they have to be the same: 5 cm is not 5 m.
- where just one of two has a percent sign, or a `million`, it may be meant or not: 50% is 0.5, and it is 50.
- decimals of a fraction that has no end, from six significant digits on: 0.333333 is 1/3, 0.33 is not.
- words without regard to case: \text{Tuesday} is tuesday. A single letter is a choice: (A), A., \textbf{(A) } 12.
- arithmetic, where the gold answer is a number: 12*6 is 72.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from oreo.envs.math.answers import Number, final_answer, plain_number, tidy
from oreo.envs.math.calculator import calculate
from oreo.errors import UsageError

Outcome = Literal["correct", "wrong", "no_answer", "timeout"]
"""timeout: there is no verdict. The comparison took too long or too much memory, or the pattern did."""

SECONDS = 5.0
"""The deadline for one comparison by math-verify. It takes 0.02 to 0.3 on answers that people write."""
MAX_LATEX = 2_000
"""A longer answer, characters, is compared as text alone."""
ENOUGH_DIGITS = 6
"""Significant digits from which on a rounded decimal stands for its fraction; math-verify's figure as well."""


@dataclass(frozen=True)
class Grade:
    outcome: Outcome
    answer: str | None
    """What was found in the response; None with the outcome no_answer."""

    @property
    def correct(self) -> bool:
        return self.outcome == "correct"


def grade(response: str, gold: str, *, pattern: str | None = None, seconds: float = SECONDS) -> Grade:
    r"""Compare the final answer of a response with the right one.

    Args:
        response: any text.
        gold: the right answer, or a solution that marks it by \boxed{} or ####.
        pattern: for the response, as in `final_answer`.
        seconds: deadline of a comparison by math-verify. Waiting for a free process comes on top where more threads
            grade than there are processes, and about a second when one has to be started.
    Raises:
        UsageError: a pattern that is no regular expression.
        MissingExtra: math-verify is needed for this answer and is not installed.
    """
    try:
        answer = final_answer(response, pattern)
    except TimeoutError:
        return Grade("timeout", None)
    if not answer:
        return Grade("no_answer", None)
    marked = final_answer(gold)
    return Grade(_compare(gold.strip() if marked is None else marked, answer, seconds), answer)


def _compare(gold: str, answer: str, seconds: float) -> Outcome:
    verdict = _at_once(gold, answer)
    if verdict is None:
        from oreo.envs.math.pool import NoVerdict, verified

        try:
            verdict = verified(_for_math_verify(gold), _for_math_verify(answer), seconds)
        except NoVerdict:
            return "timeout"
    return "correct" if verdict else "wrong"


def _at_once(gold: str, answer: str) -> bool | None:
    """Whether they are equal; None if that takes mathematics."""
    if gold == answer:
        return True
    reference = plain_number(gold)
    if reference is not None:
        return _equals_number(reference, gold, answer)
    if max(len(gold), len(answer)) > MAX_LATEX:
        return gold.split() == answer.split()
    gold, answer = tidy(gold), tidy(answer)
    if gold.replace(" ", "") == answer.replace(" ", ""):
        return True
    if choice := _CHOICE.fullmatch(gold):
        given = _CHOSEN.match(answer)
        return given is not None and (given[1] or given[2]).upper() == choice[1]
    if _is_words(gold):
        return _letters(gold) == _letters(answer)
    bases = [_BASE.search(text) for text in (gold, answer)]
    if bases[0] and bases[1] and bases[0][1] != bases[1][1]:
        return False  # 14_5 and 14_6, which are one number to math-verify
    return None


# Numbers.


def _equals_number(gold: Number, written: str, answer: str) -> bool | None:
    number = plain_number(answer)
    if number is None and len(answer) <= MAX_LATEX:
        # x = 72, 12*6 = 72
        name, equals, last = tidy(answer).rpartition("=")
        if equals and _LEFT_SIDE.fullmatch(name):
            answer = last.strip()
            number = plain_number(answer)
    if number is not None:
        return _same_number(gold, number)
    if len(answer) > MAX_LATEX:
        return False
    if "\\" in (plain := _in_plain_arithmetic(tidy(answer))):
        return None
    try:
        return gold.value * gold.scale == calculate(plain)
    except UsageError:
        return False  # words, a list, a formula with letters: no number


def _same_number(gold: Number, given: Number) -> bool:
    if gold.unit and given.unit and gold.unit != given.unit:
        return False
    if gold.scale != given.scale and 1 in (gold.scale, given.scale) and _same_value(gold, given, Fraction(1)):
        return True
    return _same_value(gold, given, given.scale / gold.scale)


def _same_value(gold: Number, given: Number, factor: Fraction) -> bool:
    """Whether gold.value is given.value times factor, exactly or as far as a rounded decimal says."""
    if gold.value == given.value * factor:
        return True
    # Where one is a decimal and the other has no end as one.
    for decimal, exact, rate in ((gold, given, factor), (given, gold, 1 / factor)):
        if decimal.places is not None and exact.places is None and not _ends(exact.value * rate):
            unit = Fraction(1, 10**decimal.places)
            left = (exact.value * rate - decimal.value) / unit * (1 if decimal.value > 0 else -1)
            if abs(decimal.value) >= unit * 10 ** (ENOUGH_DIGITS - 1) and -Fraction(1, 2) <= left < 1:
                return True  # rounded or cut off
    return False


def _ends(value: Fraction) -> bool:
    """Whether it can be written as a decimal in full."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


_LEFT_SIDE = re.compile(r"\s*[A-Za-z][A-Za-z ]{0,40}|[0-9 .,$%+*/^()×÷·x-]*")
_FRAC = re.compile(r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_SIGNS = {"\\times": "*", "\\cdot": "*", "\\div": "/"}
_SIGN = re.compile(r"\\(?:times|cdot|div)(?![A-Za-z])")


def _in_plain_arithmetic(latex: str) -> str:
    r"""\frac{1+2}{3} \times 4^{2} as ((1+2)/(3)) * 4^(2); what stays in LaTeX keeps its backslash."""
    text = _SIGN.sub(lambda match: _SIGNS[match.group()], latex)
    return _FRAC.sub(r"((\1)/(\2))", text).replace("{", "(").replace("}", ")")


# Words.

_CHOICE = re.compile(r"\(?([A-J])\)?[.:)]?")
_CHOSEN = re.compile(r"\(([A-Ja-j])\)|([A-Ja-j])(?:[.:)].*)?$")
"""(A) 12, (a), A. 12, A"""
_TEXT = re.compile(r"[^\W\d_][^\\{}^_=<>|]*")
_FUNCTIONS = set("sin cos tan cot sec csc log exp sqrt arcsin arccos arctan sinh cosh tanh max min mod".split())
_VARIABLES = set("abcxyzpqr")
_BASE = re.compile(r"[0-9]_\{?([0-9]+)\}?$")


def _is_words(text: str) -> bool:
    """Whether an answer is words and no formula: Tuesday, no, June 20; not xy, 2x, sin x."""
    if not _TEXT.fullmatch(text):
        return False
    first = re.split(r"[^A-Za-z]", text)[0].lower()
    if first in ("no", "up", "on"):
        return True
    return len(first) > 2 and first not in _FUNCTIONS and not set(first) <= _VARIABLES


def _letters(text: str) -> str:
    """What is compared of words."""
    return re.sub(r"[\s.,;:!?'\"’*-]+", " ", text).strip().casefold()


def _for_math_verify(text: str) -> str:
    """As written, but for words, which would be read as products of letters."""
    return f"\\text{{{tidy(text)}}}" if _is_words(tidy(text)) else text
