r"""Is a response right? `grade(response, gold)` says correct, wrong, no_answer or timeout, and what the answer was.

Plain numbers and words are compared here, exactly and at once. All else (LaTeX, intervals, sets, expressions) goes to
math-verify in a process that is killed at the deadline: see pool.py.

    grade("48/2 = 24, so \\boxed{24.0}", "24")    -> Grade(outcome="correct", answer="24.0")
    grade("#### $1,200", "1250")                  -> Grade(outcome="wrong", answer="$1,200")

What counts as equal:

- numbers by value: 0.5, 1/2, \frac12, 50%, seven; commas, currency signs and units aside. Where both say their unit and
  both units are known, these count: 5 cm is 50 mm, and neither 5 m nor 5 seconds. 5 clips are 5.
- where just one of two has a percent sign, or a `million`, it may be meant or not: 50% is 0.5, and it is 50.
- decimals of a fraction that has no end, from six significant digits on: 0.333333 is 1/3, 0.33 is not.
- words without regard to case: \text{Tuesday} is tuesday. A single letter is a choice: (A), A., \textbf{(A) } 12.
- times of day: 3:15 p.m. is 3:15 PM and 15:15.
- arithmetic, where the gold answer is a number: 12*6 and 12 x 6 are 72, and so are x = 72 and 12*6 = 72, but not
  2x = 72, nor are 2x+3 and 2x3 6: an x that is not between spaces is a variable.
- floats as computers write them: 3244047.0999999996 is 3244047.10.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction
from math import factorial
from typing import Literal

from oreo.envs.math.answers import (
    FUNCTIONS,
    MARKED,
    MAX_DIGITS,
    VARIABLES,
    Number,
    choice,
    final_answer,
    is_words,
    letters,
    ordinary,
    plain_number,
    tidy,
)
from oreo.envs.math.calculator import calculate
from oreo.envs.math.units import CALCULATIONS, OPERATORS, WHICH, ratio
from oreo.errors import UsageError

Outcome = Literal["correct", "wrong", "no_answer", "timeout"]
"""timeout: there is no verdict. The comparison took too long or too much memory, or the pattern did."""

SECONDS = 5.0
"""The deadline for one comparison by math-verify. It takes 0.02 to 0.3 on answers that people write."""
MAX_LATEX = 2_000
"""A longer answer, characters, is compared as text alone."""
MAX_SECONDS = 3600
"""The longest deadline there may be."""
FLOAT_ROUNDING = Fraction(1, 10**14)
"""What a float is off at most, as a part of it, after a few dozen sums and products: 50 times its precision."""
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


def checked_seconds(seconds: float) -> float:
    """The deadline as it was given, if it is one.

    Raises:
        UsageError: no number above 0 and at most MAX_SECONDS.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= MAX_SECONDS:
        raise UsageError(f"seconds={seconds!r}: expected a number above 0 and at most {MAX_SECONDS}, such as {SECONDS}")
    return seconds


def grade(
    response: str, gold: str, *, pattern: str | None = None, extract: str = MARKED, seconds: float = SECONDS
) -> Grade:
    r"""Compare the final answer of a response with the right one.

    Args:
        response: any text.
        gold: the right answer, or a solution that marks it by \boxed{} or ####.
        pattern, extract: for the response, as in `final_answer`: what is graded.
        seconds: deadline of a comparison by math-verify. Waiting for a free process comes on top where more threads
            grade than there are processes, and about a second when one has to be started.
    Raises:
        UsageError: a pattern that is no regular expression; an unknown extract; seconds that are no deadline.
        MissingExtra: math-verify is needed for this answer and is not installed.
    """
    checked_seconds(seconds)
    try:
        answer = final_answer(response, pattern, extract)
    except TimeoutError:
        return Grade("timeout", None)
    if not answer:
        return Grade("no_answer", None)
    marked = final_answer(gold)
    right = gold.strip() if marked is None else marked
    outcome = _compare(right, answer, seconds)
    counted = _COUNTED.fullmatch(right)
    if outcome == "wrong" and counted is not None:  # "7 (halves)" may be answered 7, whatever it counts
        outcome = _compare(counted[1], answer, seconds)
    return Grade(outcome, answer)


_COUNTED = re.compile(r"\s*(\S+)\s*\([^()]*[^\W\d_][^()]*\)\s*")
"""A value, and in brackets the words for what it counts."""


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
    """Return whether they are equal; None if that takes mathematics."""
    if gold == answer:
        return True
    reference = plain_number(gold)
    if reference is None or reference.unit in WHICH:
        times = _time_of_day(gold), _time_of_day(answer)
        if times[0] and times[1]:
            return _same_time(*times[0], *times[1])
    if reference is not None:
        return _equals_number(reference, answer)
    if max(len(gold), len(answer)) > MAX_LATEX:
        return gold.split() == answer.split()
    written, gold, answer = answer, tidy(gold), tidy(answer)
    if gold.replace(" ", "") == answer.replace(" ", ""):
        return True
    if (right := choice(gold)) is not None:
        return _chosen(written) == {right}
    if is_words(gold):
        return letters(gold) == letters(answer)
    if _only_case_differs(gold, answer):
        return False  # x and X, which are one variable to math-verify
    bases = [_BASE.search(text) for text in (gold, answer)]
    if bases[0] and bases[1] and bases[0][1] != bases[1][1]:
        return False  # 14_5 and 14_6, which are one number to math-verify
    return None


# Numbers.


def _equals_number(gold: Number, answer: str) -> bool | None:
    number = plain_number(answer)
    if number is not None:
        return _same_number(gold, number)
    if len(answer) > MAX_LATEX:
        return False
    answer = tidy(answer)
    *names, last = (side.strip() for side in _EQUALS.split(answer))
    for name in names:
        if not (_is_name(name) or _is_value(name, last)):
            # Mathematics may find \sqrt{144} to be 12. It would not look at 2x in 2x = 12, nor at 6 in 6 = 12.
            return None if "\\" in name and _calculated(name) is None and not _VARIABLE.search(name) else False
    number = plain_number(last)
    if number is not None:
        return _same_number(gold, number)
    value = _calculated(last)
    if value is None:
        return None if "\\" in _in_plain_arithmetic(last) else False  # words, a list, a formula with letters
    return gold.value * gold.scale == value or _near_float(gold.value * gold.scale, value)


def _same_number(gold: Number, answer: Number) -> bool:
    rate = ratio(answer.unit, gold.unit)
    if rate is None:
        return False
    if gold.scale != answer.scale and 1 in (gold.scale, answer.scale) and _same_value(gold, answer, rate):
        return True
    return _same_value(gold, answer, rate * answer.scale / gold.scale)


def _same_value(gold: Number, answer: Number, factor: Fraction) -> bool:
    """Return whether gold.value is answer.value times factor, exactly or as far as a rounded decimal says."""
    if gold.value == answer.value * factor or _near_float(gold.value, answer.value * factor):
        return True
    # Where one is a decimal and the other has no end as one.
    for decimal, exact, rate in ((gold, answer, factor), (answer, gold, 1 / factor)):
        if decimal.places is not None and exact.places is None and not _ends(exact.value * rate):
            unit = Fraction(1, 10**decimal.places)
            units_off = (exact.value * rate - decimal.value) / unit * (1 if decimal.value > 0 else -1)
            if abs(decimal.value) >= unit * 10 ** (ENOUGH_DIGITS - 1) and -Fraction(1, 2) <= units_off < 1:
                return True  # rounded or cut off
    return False


def _near_float(value: Fraction, other_value: Fraction) -> bool:
    """Return whether a value is the other as a float has it: 79.99999999999999 is 80, 3244047.0999999996 is 3244047.1.

    The float has the 15 to 17 digits that Python writes of it and hardly differs from a number of no more than 12: that
    one was meant, whichever of the two it is.
    """
    for long, short in ((value, other_value), (other_value, value)):
        if long.denominator > 1 and abs(long - short) <= abs(short) * FLOAT_ROUNDING:
            if 15 <= _digits(long) <= 17 and _digits(short) <= 12:
                return True
    return False


def _digits(value: Fraction) -> int:
    """Significant digits of a decimal; of a fraction that has no end as one, more than any has."""
    if not _ends(value):
        return MAX_DIGITS + 1
    while value.denominator > 1:
        value *= 10
    return len(str(abs(value.numerator)).rstrip("0"))


def _ends(value: Fraction) -> bool:
    """Return whether it can be written as a decimal in full."""
    denominator = value.denominator
    for prime in (2, 5):
        while denominator % prime == 0:
            denominator //= prime
    return denominator == 1


_FRAC = re.compile(r"\\frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_SIGNS = {"\\times": "*", "\\cdot": "*", "\\div": "/"}
_SIGN = re.compile(r"\\(?:times|cdot|div)(?![A-Za-z])")
_FACTORIAL = re.compile(r"(?<![0-9.,!])([0-9]{1,2})!(?!!)")
_EQUALS = re.compile(r"=(?![^{}]*\})")  # not that of \sum_{k=1}
_GREEK = "alpha|beta|gamma|delta|epsilon|theta|lambda|mu|rho|sigma|tau|phi|varphi|psi|omega"
_VARIABLE = re.compile(rf"(?<![A-Za-z\\])[A-Za-z]|\\(?:{_GREEK})(?![A-Za-z])")
_SUBSCRIPT = re.compile(r"_(?:\{[^{}]*\}|\w)")
_NO_NAME = re.compile(r"[0-9+*/^<>|!%-]|\\(?:sqrt|frac|cdot|times|div|sin|cos|tan|log|ln|ne|neq|not)(?![A-Za-z])")
_SHORT_WORDS = {"is", "of", "in", "to", "at", "by", "my", "an", "a"}


def _in_plain_arithmetic(latex: str) -> str:
    r"""Write \frac{1+2}{3} \times 4^{2} as ((1+2)/(3)) * 4^(2); what stays in LaTeX keeps its backslash."""
    text = _SIGN.sub(lambda match: _SIGNS[match.group()], latex)
    text = _FACTORIAL.sub(lambda match: str(factorial(int(match[1]))), text)
    return _FRAC.sub(r"((\1)/(\2))", text).replace("{", "(").replace("}", ")")


_TIMES = re.compile(r"(?<=[0-9.)\]%]) +[xX] +(?=[0-9.(\[$€£¥])")
_X = re.compile("[xX]")


def _calculated(tidied: str) -> Fraction | None:
    """The value of 12*6, 12 x 6, 5! or |3-9|; None of what is no arithmetic, such as 2x+3, 2x3 and 5x 2."""
    plain = _TIMES.sub("*", _in_plain_arithmetic(tidied))
    return None if _X.search(plain) else _value_of(plain)


def _value_of(plain: str) -> Fraction | None:
    bars = len(plain) > 2 and plain[0] == plain[-1] == "|"
    try:
        return abs(calculate(plain[1:-1])) if bars else calculate(plain)
    except UsageError:
        return None


def _is_name(side: str) -> bool:
    """Return whether the left side of an equation only names the right side: x, AB, Total cost; not 2x, xy, not x."""
    side = _SUBSCRIPT.sub("", side)
    words = re.findall(r"(?<![A-Za-z\\])[A-Za-z]+", side)
    if _NO_NAME.search(side) or any(word.lower() in OPERATORS | CALCULATIONS | FUNCTIONS for word in words):
        return False
    if any(len(word) > 1 and word.islower() and set(word) <= VARIABLES for word in words):
        return False
    # More than one short word is a product: x y, k t.
    return sum(len(word) < 3 and word.islower() and word not in _SHORT_WORDS for word in words) < 2


def _is_value(side: str, last: str) -> bool:
    """Return whether the left side of an equation has the value of the right one, rounded to its decimals.

    In 2x3 = 6 the x is a times sign, as the other side shows.
    """
    value, number = _value_of(_in_plain_arithmetic(side)), plain_number(last)
    if value is None or number is None:
        return value is not None and value == _calculated(last)
    if number.places:
        value = round(value, number.places)
    return value in (number.value, number.value * number.scale)


# Words.

_TIME = re.compile(r"([0-9]{1,2})(?::([0-9]{2}))? ?([AaPp])?(?(3)\.?[Mm]\.?)")
_MARKED = re.compile(r"(?<![A-Za-z])\(([A-Ja-j])\)|(?:^|(?<=[\s,;/]))([A-J])[.:)](?=\s|$)|\bor \(?([A-J])(?![A-Za-z])")
"""(A), A. or A: before a space, or A"""
_ONE_LETTER = re.compile(r"([A-Ja-j])(?:[.:)].*)?", re.DOTALL)
_BASE = re.compile(r"[0-9]_\{?([0-9]+)\}?$")


def _time_of_day(text: str) -> tuple[int, str] | None:
    """Minutes and half of the day: (195, "p") of 3:15 p.m.; the half is empty where it is not said."""
    match = _TIME.fullmatch(tidy(text)) if len(text) < 40 else None
    if match is None or not (match[2] or match[3]):
        return None
    hours, half = int(match[1]), (match[3] or "").lower()
    if 12 < hours < 24:
        hours, half = hours - 12, half or "p"
    return 60 * hours + int(match[2] or 0), half


def _same_time(minutes: int, half: str, other_minutes: int, other_half: str) -> bool | None:
    if not half and not other_half:
        return None  # 3:15 may be a ratio as well
    return minutes == other_minutes and "" in (half, other_half) or (minutes, half) == (other_minutes, other_half)


def _chosen(answer: str) -> set[str]:
    """The choices that an answer marks: {"A"} for (A) 12, (a), A. 12, A; {"A", "B"} for (A) or (B)."""
    text = tidy(answer)
    first = _ONE_LETTER.fullmatch(text)
    if not first and not re.match(r"\([A-Ja-j]\)", text):
        return set()
    marked = {(match[1] or match[2] or match[3]).upper() for match in _MARKED.finditer(text)}
    return marked | ({first[1].upper()} if first else set())


def _only_case_differs(gold: str, answer: str) -> bool:
    """Return whether two formulas have the same letters, but some large in one of them and small in the other."""
    gold_letters, answer_letters = (set(re.findall("[^\\W\\d_]", text)) for text in (gold, answer))
    return gold_letters != answer_letters and {letter.lower() for letter in gold_letters} == {
        letter.lower() for letter in answer_letters
    }


# What math-verify reads wrongly as it is written.

_ARGUMENT = r"(\\(?!sqrt|[dtc]?frac|text|math|left)[A-Za-z]+|[0-9A-Za-z])"
_FIRST = re.compile(rf"\\[dtc]?frac\s*{_ARGUMENT}")
_SECOND = re.compile(rf"(\\[dtc]?frac\{{[^{{}}]*\}})\s*{_ARGUMENT}")
_ANGLE = re.compile(r"([0-9.]+) ?(?:\^\{?\\circ\}?|°)")
_INEQUALITY = re.compile(r"([a-z]) ?(<|>|\\leq?|\\geq?|≤|≥)(?![A-Za-z]) ?([^<>=a-z]+|[^<>=]*\\[^<>=]*)")
_INTERVALS = {"<": r"(-\infty,{})", "l": r"(-\infty,{}]", "≤": r"(-\infty,{}]"}
_INTERVALS |= {">": r"({},\infty)", "g": r"[{},\infty)", "≥": r"[{},\infty)"}


def _for_math_verify(text: str) -> str:
    r"""Return it, but for words (else products of letters), \frac ab, \cos 60^\circ, \varnothing and x<1 or x>2."""
    tidied = tidy(text)
    if is_words(tidied):
        return f"\\text{{{tidied}}}"
    parts = [_INEQUALITY.fullmatch(part.strip()) for part in tidied.split(" or ")]
    if len(parts) > 1 and len({part[1] if part else "" for part in parts} | {""}) == 2 and all(parts):
        return r"\cup".join(_INTERVALS[part[2].lstrip("\\")[0]].format(part[3]) for part in parts if part)
    text = _FIRST.sub(r"\\frac{\1}", ordinary(text))
    text = _SECOND.sub(r"\1{\2}", text)
    if re.search(r"\\(?:sin|cos|tan|cot|sec|csc)(?![A-Za-z])", text):
        text = _ANGLE.sub(r"\\frac{\1\\pi}{180}", text)
    return text.replace("\\varnothing", "\\emptyset")
