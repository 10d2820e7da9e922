r"""Where the final answer of a response stands, and what number it is where it is a plain one.

`final_answer` finds `\boxed{…}`, `#### 72` or a pattern of yours; `plain_number` reads 1,234.50, -$3, 25\%, 2 1/2,
\frac{3}{4} or 1.5e3 dollars as an exact fraction. Comparing answers is in grading.py, arithmetic in calculator.py.

The forms are those that the data sets' authors look for: GSM8K's `#### 72` (openai/grade-school-math, dataset.py, there
to the end of a number, here of the line) and MATH's last `\boxed` or `\fbox` (hendrycks/math, dataset/util.py).
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

from oreo.errors import UsageError

MAX_DIGITS = 300
"""A plain number has at most so many digits, written or by its exponent: a longer one is no number to us."""
PATTERN_SECONDS = 1.0
"""Seconds that a user's pattern may take on one text."""

_MARKS = re.compile(
    r"\\(?:boxed|fbox)\s*(?P<brace>\{)"  # \boxed{
    r"|\\(?:boxed|fbox) +(?P<bare>)[^{\s$]"  # \boxed 5$, as some solutions of MATH write it
    r"|(?<!\#)\#\#\#\#(?!\#)(?P<line>)"  # #### 72
    r"|\\.|[{}]",
    re.DOTALL,
)


def final_answer(text: str, pattern: str | None = None) -> str | None:
    r"""The final answer in `text`, or None where there is none. Of several, the one that begins last.

    Args:
        pattern: a regular expression in place of the usual forms; the answer is its first group, or all of it.
            It is searched for by the package `regex`, which stops at a time limit: whether a pattern explodes
            cannot be seen from the pattern alone.
    Raises:
        UsageError: a pattern that is not one.
        TimeoutError: a pattern that ran for longer than PATTERN_SECONDS.
    """
    if pattern is not None:
        return _by_pattern(text, pattern)
    if "####" not in text and "\\boxed" not in text and "\\fbox" not in text:
        return None
    begins, ends = -1, -1
    upto = "\n"
    opened: list[int] = []  # of each open brace, where its box begins to hold something; -1: no box
    for mark in _MARKS.finditer(text):
        kind, token = mark.lastgroup, mark.group()
        if kind == "brace":
            opened.append(mark.end())
        elif kind is not None:
            begins, ends = mark.start(kind), -1  # it ends with the line, which may hold another
            upto = "$\n" if kind == "bare" else "\n"
        elif token == "{":
            opened.append(-1)
        elif token == "}" and opened:
            start = opened.pop()
            if start > begins:  # else it ends around a box that has been found in it
                begins, ends = start, mark.start()
    if begins < 0:
        return None
    if ends < 0:
        ends = min((end for end in (text.find(stop, begins) for stop in upto) if end >= 0), default=len(text))
    return text[begins:ends].strip()


def _by_pattern(text: str, pattern: str) -> str | None:
    compiled, until = _compiled(pattern), time.monotonic() + PATTERN_SECONDS
    last = None
    for match in compiled.finditer(text, timeout=PATTERN_SECONDS):
        last = match
        if time.monotonic() > until:
            raise TimeoutError
    if last is None:
        return None
    return (last.group(1 if compiled.groups else 0) or "").strip()


@lru_cache(maxsize=16)
def _compiled(pattern: str) -> Any:
    import regex

    try:
        return regex.compile(pattern)
    except regex.error as error:
        raise UsageError(
            f"pattern={pattern!r} is not a regular expression ({error}); try one like 'answer is (.+)'"
        ) from None


# Plain numbers.


@dataclass(frozen=True)
class Number:
    """A plain number as it was written."""

    value: Fraction
    """Without what follows it: 25 of 25 %."""
    scale: Fraction = Fraction(1)
    """What follows it stands for this: 1/100 of a percent sign, 1,000,000 of `million`."""
    unit: str = ""
    """The unit, where it is one of those we tell apart (cm, hour, dollar); else nothing."""
    places: int | None = None
    """Digits after the point of a decimal; None for fractions."""


_WHOLE = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"
_DECIMAL = rf"(?P<decimal>(?:{_WHOLE}(?:\.[0-9]*)?|\.[0-9]+))(?:\\overline\{{(?P<cycle>[0-9]+)\}})?"
_POWER = r"(?:[eE]\^?(?P<e>[+-]?[0-9]+)|\ ?(?:\\times|\\cdot|[x×*·])\ ?10\^\{?(?P<ten>[+-]?[0-9]+)\}?)?"
_FRAC = rf"\\frac(?:\ ?\{{ ?(?P<a>-?{_WHOLE}) ?\}}\ ?\{{ ?(?P<b>-?{_WHOLE}) ?\}}|\ ?(?P<c>[0-9])\ ?(?P<d>[0-9]))"
_SLASHED = rf"(?:(?P<before>{_WHOLE})\ )?(?P<over>{_WHOLE})\ ?/\ ?(?P<under>{_WHOLE})"
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\ ?(?P<currency>[$€£¥]?)\ ?(?P<sign2>[+-]?)\ ?"
    rf"(?:(?P<whole>{_WHOLE})?\ ?{_FRAC}|{_SLASHED}|{_DECIMAL}{_POWER})(?P<rest>[^0-9].*)?"
)

_SCALES = {
    "%": Fraction(1, 100),
    "percent": Fraction(1, 100),
    "per cent": Fraction(1, 100),
    "pct": Fraction(1, 100),
    "thousand": Fraction(10**3),
    "million": Fraction(10**6),
    "billion": Fraction(10**9),
    "trillion": Fraction(10**12),
}
_UNITS = {
    "mm": "mm millimeter millimetre",
    "cm": "cm centimeter centimetre",
    "m": "m meter metre",
    "km": "km kilometer kilometre",
    "inch": "in inch inche",
    "foot": "ft foot feet",
    "yard": "yd yard",
    "mile": "mi mile",
    "mg": "mg milligram",
    "g": "g gram",
    "kg": "kg kilogram",
    "pound": "lb pound",
    "ounce": "oz ounce",
    "ml": "ml milliliter millilitre",
    "liter": "l liter litre",
    "second": "s sec second",
    "minute": "min minute",
    "hour": "h hr hour",
    "day": "day",
    "week": "week",
    "month": "month",
    "year": "yr year",
    "cent": "¢ cent",
    "dollar": "$ dollar",
    "euro": "€ euro",
    "yen": "¥ yen",
    "degree": "° degree",
    "radian": "rad radian",
}
_UNIT_OF = {word: unit for unit, words in _UNITS.items() for word in words.split()}
_SHORT = {"am", "pm", "sq", "cu", "hz", "pt", "qt", "m/s", "°c", "°f"}
"""Units shorter than three letters, besides those of _UNITS: other short words would be variables."""
_NO_UNIT = set(
    "or and to not plus minus times over mod sqrt sin cos tan cot sec csc log exp factorial squared cubed".split()
)
"""Words that, next after a number, make something else of it."""
_DIMENSIONS = {"²": "2", "sq": "2", "square": "2", "squared": "2", "³": "3", "cu": "3", "cubic": "3", "cubed": "3"}
_UNIT_WORD = re.compile(r"([A-Za-z°¢$€£¥][A-Za-z°/.'’-]*)(?:\^\{?([23])\}?|([²³]))?")


def plain_number(text: str) -> Number | None:
    """The number that `text` is, alone or with a currency sign, a percent sign or a unit; None where it is none.

    Never builds an integer of more than some MAX_DIGITS digits, whatever the text says.
    """
    return None if len(text) > 2 * MAX_DIGITS else _plain_number(text)


@lru_cache(maxsize=4096)
def _plain_number(text: str) -> Number | None:
    match = _NUMBER.fullmatch(tidy(text))
    if match is None or (match["sign"] and match["sign2"]):
        return None
    after = _after(match["rest"] or "")
    value = _value(match)
    if after is None or value is None:
        return None
    scale, unit = after
    if "-" in (match["sign"], match["sign2"]):
        value = -value
    if not unit and match["currency"]:
        unit = _UNIT_OF.get(match["currency"], "")
    decimal = match["decimal"]
    exact = decimal is None or match["e"] or match["ten"] or match["cycle"]
    return Number(value, scale, unit, None if exact else len(decimal.partition(".")[2]))


def _value(match: re.Match[str]) -> Fraction | None:
    """The unsigned number, None where it has too many digits or is divided by zero."""
    if len(match.group()) > MAX_DIGITS:
        return None
    if match["decimal"]:
        exponent = match["e"] or match["ten"] or "0"
        if len(exponent) > len(str(MAX_DIGITS)) + 1 or abs(int(exponent)) > MAX_DIGITS:
            return None
        decimal, cycle = match["decimal"].replace(",", ""), match["cycle"]
        value = Fraction(decimal if decimal[-1] != "." else decimal[:-1])
        if cycle:
            if "." not in decimal:
                return None
            value += Fraction(int(cycle), (10 ** len(cycle) - 1) * 10 ** len(decimal.partition(".")[2]))
        return value * Fraction(10) ** int(exponent)
    over, under = (
        next(int(match[name].replace(",", "") or "0") for name in names if match[name] is not None)
        for names in (("a", "c", "over"), ("b", "d", "under"))
    )
    whole = int((match["whole"] or match["before"] or "0").replace(",", ""))
    return None if under == 0 else whole + Fraction(over, under)


def _after(rest: str) -> tuple[Fraction, str] | None:
    """Scale and unit in what follows a number, None where it makes no plain number of it."""
    apart = rest[:1] == " "
    rest = rest.strip()
    scale = Fraction(1)
    for word, meaning in _SCALES.items():
        if rest.lower().startswith(word) and not rest[len(word) :][:1].isalpha():
            scale, rest = meaning, rest[len(word) :].strip()
            break
    if not rest:
        return scale, ""
    dimension, known = "", []
    for index, word in enumerate(rest.split()):
        match = _UNIT_WORD.fullmatch(word.strip("(),"))
        if match is None:
            return None
        name = match[1].rstrip(".").lower()
        unit = _UNIT_OF.get(name) or _UNIT_OF.get(name.removesuffix("s"))
        a_word = apart and len(name) > 2 and name not in _NO_UNIT
        if index == 0 and not (unit or name in _SHORT or a_word):
            return None
        dimension = match[2] or _DIMENSIONS.get(match[3] or name) or dimension
        if unit is not None:
            known.append(unit)
    # Of `miles per hour` no one unit is the unit.
    return scale, known[0] + dimension if len(known) == 1 else ""


_REPLACED = {
    "\\dfrac": "\\frac",
    "\\tfrac": "\\frac",
    "\\cfrac": "\\frac",
    "\\left": "",
    "\\right": "",
    "\\!": "",
    "\\,": "",
    "\\;": " ",
    "\\:": " ",
    "\\ ": " ",
    "\\quad": " ",
    "\\qquad": " ",
    "~": " ",
    "{,}": ",",
    "\\%": "%",
    "\\$": "$",
    "\\#": "#",
    "\\&": "&",
    "\\_": "_",
    "^{\\circ}": "°",
    "^\\circ": "°",
    "\\degree": "°",
    "\\(": "",
    "\\)": "",
    "\\[": "",
    "\\]": "",
    "−": "-",
    "–": "-",
    "﹣": "-",
    "－": "-",
    "\u00a0": " ",
    "\u2009": "",  # these two part thousands
    "\u202f": "",
    "½": " 1/2",
    "¼": " 1/4",
    "¾": " 3/4",
    "⅓": " 1/3",
    "⅔": " 2/3",
}
_REPLACE = re.compile(
    "|".join(
        # \left, not \leftarrow
        re.escape(old) + (r"(?![A-Za-z])" if old[-1].isalpha() and old[-1].isascii() else "")
        for old in sorted(_REPLACED, key=len, reverse=True)
    )
)
_WORDS = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname|bf|rm)\s*\{([^{}]*)\}")
_DOLLARS = re.compile(r"\$+([^$]*[^$\s])\s*\$+")


def tidy(text: str) -> str:
    r"""The answer without what only looks: \left, \!, \text{…}, $…$, **…**, wide spaces, and a full stop at the end."""
    text = _REPLACE.sub(lambda match: _REPLACED[match.group()], text).strip().strip("*").strip()
    while match := _DOLLARS.fullmatch(text):
        text = match[1].strip()
    text = " ".join(_WORDS.sub(r" \1 ", text).split()).replace(" ^", "^")
    return text[:-1].rstrip() if text.endswith(".") else text
