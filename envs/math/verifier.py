"""What runs in a grading process: math-verify, asked for verdicts (see killable.py; pool.py is the side that asks).

Its own time limits are alarms with a Python handler. They are off here: they fail outside the main thread, and no
Python handler runs while one giant power is being multiplied out.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from oreo.envs.math.killable import serve

MEMORY = 1 << 30
"""Bytes of address space; math-verify and sympy take 0.1 GB."""
RETIRES_AT = 300 << 20
"""A process that holds more bytes than this ends after its answer, which gives them back."""
RETIRES_AFTER = 2_000
"""Comparisons; sympy remembers much of each."""
SMALL = 1e-3
"""Floats below this are compared by their digits, not by their decimals."""
PRECISION = 20
"""Digits of that comparison."""
ENOUGH_DIGITS = 5
"""Digits that small floats have in common when they are equal: rounded to six, the last one may differ."""


def main() -> None:
    """Answer `{"gold", "answer"}` with `{"equal", "retires"}`."""
    asked = 0

    def prepare() -> None:
        equal("1", "\\frac{1}{2}")  # the slow imports, and the parser's tables

    def compare(request: dict[str, Any]) -> dict[str, Any]:
        nonlocal asked
        asked += 1
        verdict = equal(request["gold"], request["answer"])
        return {"equal": verdict, "retires": _memory_held() > RETIRES_AT or asked >= RETIRES_AFTER}

    serve(prepare, compare, MEMORY)


def equal(gold: str, answer: str) -> bool:
    r"""Return whether math-verify holds two answers in LaTeX to be equal. What it cannot read is equal to itself alone.

    Three kinds of its verdicts (version 0.9.0) are not taken over: it finds some infinite values equal to every number,
    9\infty^{9} to 72 and \pi\infty^{9} to 2\sqrt{2}; the interval (1,2) equal to the set {1,2}; and very small numbers
    equal to each other, 1/2004! to 1/2006! (see `_compare_small_numbers_too`).
    """
    from math_verify import LatexExtractionConfig, parse, verify
    from sympy import FiniteSet, Interval

    _compare_small_numbers_too()

    def parsed(text: str) -> list[Any]:
        # The whole text is one formula. Without first_match, a number inside an unreadable formula would count.
        formula = "$" + text.replace("$", " ").replace("\n", " ") + "$"
        config = [LatexExtractionConfig(boxed_match_priority=-1)]
        return list(parse(formula, config, extraction_mode="first_match", parsing_timeout=None))

    def some(expressions: list[Any], kind: type) -> bool:
        return any(isinstance(expression, kind) for expression in expressions)

    reference, candidate = parsed(gold), parsed(answer)
    if some(reference + candidate, FiniteSet) and some(reference + candidate, Interval):
        return False
    if any(map(_infinite, candidate)) and not any(map(_infinite, reference)):
        return False
    # 1 < x < 2 is the interval (1,2), but not the set {1,2}.
    relations = not some(reference, FiniteSet)

    def same(expressions: list[Any], other_expressions: list[Any]) -> bool:
        return bool(verify(expressions, other_expressions, allow_set_relation_comp=relations, timeout_seconds=None))

    if same(reference, candidate):
        return True
    with_i = list(map(_with_i, reference)), list(map(_with_i, candidate))
    return with_i != (reference, candidate) and same(*with_i)


@lru_cache(maxsize=1)
def _compare_small_numbers_too() -> None:
    """Have math-verify look twice where it finds two numbers equal by their difference.

    It takes a difference below some 1e-15 for none, and rounds floats to six decimals, however small the numbers are.
    """
    from math_verify import grader

    by_difference = grader.sympy_numeric_eq

    def numeric_eq(value: Any, other_value: Any, float_rounding: int, numeric_precision: int) -> bool:
        return bool(by_difference(value, other_value, float_rounding, numeric_precision)) and _truly_equal(
            value, other_value
        )

    grader.sympy_numeric_eq = numeric_eq


def _truly_equal(value: Any, other_value: Any) -> bool:
    """Return whether two values that hardly differ are equal: exact ones in all digits, floats in ENOUGH_DIGITS."""
    from sympy import Expr, Float, N

    if not (isinstance(value, Expr) and isinstance(other_value, Expr)):
        return True
    try:
        difference = N(abs(value - other_value), PRECISION)
        if not difference.is_Float:
            return True
        if not (value.has(Float) or other_value.has(Float)):
            return bool(difference == 0 or difference._prec == 1)  # of 1: no digit of it is known, so it is zero
        size = max(abs(N(value, PRECISION)), abs(N(other_value, PRECISION)))
        return bool(size >= SMALL or difference <= size / 10**ENOUGH_DIGITS)
    except Exception:  # sympy cannot work it out: math-verify's verdict stays
        return True


def _with_i(expression: Any) -> Any:
    """Put the imaginary unit for the letter i, which the parser takes for a variable."""
    from sympy import Expr, I

    if not isinstance(expression, Expr):
        return expression
    try:
        return expression.subs({letter: I for letter in expression.free_symbols if letter.name == "i"})
    except Exception:  # sympy cannot have it there, as in max(i, 3)
        return expression


def _infinite(expression: Any) -> bool:
    """Return whether infinity or something undefined remains of an expression worked out by sympy. Sets may have it."""
    from sympy import Set, nan, oo, zoo

    if isinstance(expression, (str, Set)):
        return False
    try:
        return bool(expression.doit().has(oo, -oo, zoo, nan))
    except Exception:  # sympy cannot work it out: nor can math-verify, which then compares in writing
        return bool(expression.has(oo, -oo, zoo, nan))


def _memory_held() -> int:
    """Bytes this process holds now; 0 where that is not told.

    (Not its peak, which on Linux begins with that of the process it was started from.)
    """
    try:
        with open("/proc/self/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0
