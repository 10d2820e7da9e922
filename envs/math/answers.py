r"""Where the final answer of a response stands, and what number it is where it is a plain one.

`final_answer` finds `\boxed{…}`, `#### 72` or a pattern of yours; `plain_number` reads 1,234.50, -$3, 25\%, 2 1/2,
\frac{3}{4} or 1.5e3 dollars as an exact fraction; `canonical` gives answers that are plainly the same one text.
Comparing answers is in grading.py, arithmetic in calculator.py, units in units.py.

The forms are those that the data sets' authors look for: GSM8K's `#### 72` (openai/grade-school-math, dataset.py, there
to the end of a number, here of the line) and MATH's last `\boxed` or `\fbox` (hendrycks/math, dataset/util.py).
"""

from __future__ import annotations

import re
import time
import unicodedata
from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import prod
from typing import Any

from oreo.envs.math.units import NUMBER_WORDS, WHICH, after_number
from oreo.errors import UsageError, did_you_mean

MAX_DIGITS = 300
"""A plain number has at most N digits, written or by its exponent: a longer one is no number to us."""
PATTERN_SECONDS = 1.0
"""Seconds that a user's pattern may take on one text."""

MAX_PATTERN = 1_000
"""Characters of a user's pattern."""
MAX_REPEATS = 10_000
"""All counts of repetition in a pattern, such as {2,5}, multiplied."""
_REPEATS = re.compile(r"\{([0-9]*)(?:,([0-9]*))?\}")
_RECURSION = re.compile(r"(?<!\\)\(\?(?:R\)|[-+]?[0-9]+\)|&|P>)")
"""(?R), (?1), (?&name), (?P>name): how deep they go, and with it how much memory they take, nothing limits."""

_MARKS = re.compile(
    r"\\(?:boxed|fbox)\s*(?P<brace>\{)"  # \boxed{
    r"|\\(?:boxed|fbox) +(?P<bare>)[^{\s$]"  # \boxed 5$, as some solutions of MATH write it
    r"|(?<!\#)\#\#\#\#(?!\#)(?P<line>)"  # #### 72
    r"|\\.|[{}]",
    re.DOTALL,
)


MARKED, LAST_NUMBER = "marked", "last number"
EXTRACTS = (MARKED, LAST_NUMBER)
"""What counts as the final answer; see `final_answer`."""


def check_extract(extract: str, pattern: str | None) -> None:
    """Raises UsageError for no such way to find the answer, or for one beside a pattern of the user's own."""
    if extract not in EXTRACTS:
        raise UsageError(f"unknown extract {extract!r}: {did_you_mean(str(extract), EXTRACTS)}")
    if pattern is not None and extract != MARKED:
        raise UsageError(f"extract={extract!r} with pattern={pattern!r}: choose one of the two")


def final_answer(text: str, pattern: str | None = None, extract: str = MARKED) -> str | None:
    r"""The final answer in `text`, or None where there is none. Of several, the one that begins last.

    Args:
        extract: "marked", the strict rule: \boxed{…} or ####, or what the pattern finds. "last number": where nothing
            is marked, the last number of the text, as lm-evaluation-harness's flexible-extract takes for GSM8K (there
            even where something is marked); for models that were never told to mark their answer.
        pattern: a regular expression in place of the usual forms; the answer is its first group, or all of it.
            It is searched for by the package `regex`, which stops at a time limit: whether a pattern explodes
            cannot be seen from the pattern alone.
    Raises:
        UsageError: a pattern that is not one, or whose memory nothing limits; no such extract.
        TimeoutError: a pattern that ran for longer than PATTERN_SECONDS.
    """
    check_extract(extract, pattern)
    if pattern is not None:
        return _by_pattern(text, pattern)
    marked = _marked(text)
    return last_number(text) if extract == LAST_NUMBER and not marked else marked


def _marked(text: str) -> str | None:
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


_SEEN_NUMBER = re.compile(
    r"\\[dt]?frac ?\{-?[0-9]+\} ?\{-?[0-9]+\}"
    r"|(?<![A-Za-z_0-9.])(?:(?<![)\]}%])-[$€£¥]?|[$€£¥]-?)?(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])|[0-9]+)"
    r"(?:\.[0-9]+| ?/ ?[0-9]+(?![0-9]*\.[0-9]))?(?: ?%)?"
    r"|(?<![A-Za-z_0-9.])-?\.[0-9]+"
)


def last_number(text: str) -> str | None:
    r"""The last number of a text, such as 1,234.50, -3/4, $5, 20% or \frac{1}{2}; None where there is none.

    The minus of 10-5 is no sign, and the digits of x2 or H2O are no numbers.
    """
    plain = _REPLACE.sub(lambda match: _REPLACED[match.group()], ordinary(text))
    last = deque(_SEEN_NUMBER.finditer(plain), maxlen=1)
    return last[0].group() if last else None


def _by_pattern(text: str, pattern: str) -> str | None:
    compiled, until = _compiled(pattern), time.monotonic() + PATTERN_SECONDS
    last = None
    try:
        for match in compiled.finditer(text, timeout=PATTERN_SECONDS):
            last = match
            if time.monotonic() > until:
                raise TimeoutError
    except (MemoryError, RecursionError) as error:
        raise TimeoutError from error
    if last is None:
        return None
    return (last.group(1 if compiled.groups else 0) or "").strip()


@lru_cache(maxsize=16)
def _compiled(pattern: str) -> Any:
    import regex

    if len(pattern) > MAX_PATTERN:
        raise UsageError(f"a pattern of {len(pattern):,} characters: at most {MAX_PATTERN:,} are searched for")
    repeats = prod(max(1, *map(int, filter(None, pair))) for pair in _REPEATS.findall(pattern) if any(pair))
    if _RECURSION.search(pattern) or repeats > MAX_REPEATS:
        what = f"repeats {repeats:,} times" if repeats > MAX_REPEATS else "calls itself or a group"
        raise UsageError(f"pattern={pattern!r} {what}, which takes all memory; try one like 'answer is (.+)'")
    try:
        return regex.compile(pattern)
    except (regex.error, RecursionError, MemoryError, OverflowError) as error:
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
    """The unit, where it is one of those we tell apart (cm, foot2, mile/hour, dollar, pm); else nothing."""
    places: int | None = None
    """Digits after the point of a decimal; None for fractions."""


_WHOLE = r"(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)"
_GROUPED = r"[0-9]{1,3}(?:\ [0-9]{3})+"
_DECIMAL = rf"(?P<decimal>(?:(?:{_GROUPED}|{_WHOLE})(?:\.[0-9]*)?|\.[0-9]+))(?:\\overline\{{(?P<cycle>[0-9]+)\}})?"
_POWER = r"(?:[eE]\^?(?P<e>[+-]?[0-9]+)|\ ?(?:\\times|\\cdot|[x×*·])\ ?10\^\{?(?P<ten>[+-]?[0-9]+)\}?)?"
_FRAC = rf"\\frac(?:\ ?\{{ ?(?P<a>-?{_WHOLE}) ?\}}\ ?\{{ ?(?P<b>-?{_WHOLE}) ?\}}|\ ?(?P<c>[0-9])\ ?(?P<d>[0-9]))"
_SLASHED = rf"(?:(?P<before>{_WHOLE})\ )?(?P<over>{_WHOLE})\ ?/\ ?(?P<under>{_WHOLE})"
_NUMBER = re.compile(
    r"(?P<sign>[+-]?)\ ?(?P<currency>[$€£¥]?)\ ?(?P<sign2>[+-]?)\ ?"
    rf"(?:(?P<whole>{_WHOLE})?\ ?{_FRAC}|{_SLASHED}|{_DECIMAL}{_POWER})(?P<rest>[^0-9].*)?"
)


_NOTE = re.compile(r"([^()]*[^()\s])\s*\(([^()]+)\)")


def plain_number(text: str) -> Number | None:
    """The number that `text` is, alone or with a currency sign, a percent sign or a unit; None where it is none.

    Never builds an integer of more than some MAX_DIGITS digits, whatever the text says.
    """
    return None if len(text) > 2 * MAX_DIGITS else _plain_number(text)


@lru_cache(maxsize=4096)
def _plain_number(text: str) -> Number | None:
    text = tidy(text)
    note = _NOTE.fullmatch(text)
    if note and (again := _plain_number(note[2])) is not None:  # 6 (six), 50% (0.5): once more, or another number
        number = _plain_number(note[1])
        same = number is not None and number.value * number.scale == again.value * again.scale
        return number if same else None
    match = _NUMBER.fullmatch(text)
    if match is None:
        return _spelled(text)
    if match["sign"] and match["sign2"]:
        return None
    after = after_number(match["rest"] or "", match["currency"])
    value = _value(match)
    if after is None or value is None:
        return None
    scale, unit = after
    if "-" in (match["sign"], match["sign2"]):
        value = -value
    decimal = match["decimal"]
    exact = decimal is None or match["e"] or match["ten"] or match["cycle"]
    return Number(value, scale, unit, None if exact else len(decimal.partition(".")[2]))


def _spelled(text: str) -> Number | None:
    """Read seven, Twenty-five, thirty minutes: up to ninety-nine, with a unit that is known or without."""
    words = text.lower().replace("-", " ").split(" ", 2)
    tens, ones = (NUMBER_WORDS.get(word, -1) for word in (words + [""])[:2])
    if tens < 0:
        return None
    both = tens >= 20 and 0 < ones < 10
    after = after_number(" " + " ".join(words[2 if both else 1 :]))
    if after is None or not after[1] and len(words) > 1 + both:
        return None
    return Number(Fraction(tens + ones if both else tens), *after, places=0)


def _value(match: re.Match[str]) -> Fraction | None:
    """The unsigned number, None where it has too many digits or is divided by zero."""
    if len(match.group()) > MAX_DIGITS:
        return None
    if match["decimal"]:
        exponent = match["e"] or match["ten"] or "0"
        if len(exponent) > len(str(MAX_DIGITS)) + 1 or abs(int(exponent)) > MAX_DIGITS:
            return None
        decimal, cycle = match["decimal"].replace(",", "").replace(" ", ""), match["cycle"]
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
    "\u00a0": " ",
    "\u2009": "",  # these two part thousands
    "\u202f": "",
}
_SIGNS = {"−": "-", "–": "-", "﹣": "-", "\u2010": "-", "\u2011": "-", "\u2012": "-", "。": ".", "⁄": "/", "∕": "/"}
_REPLACE = re.compile(
    "|".join(
        # \left, not \leftarrow
        re.escape(old) + (r"(?![A-Za-z])" if old[-1].isalpha() and old[-1].isascii() else "")
        for old in sorted(_REPLACED, key=len, reverse=True)
    )
)
_WORDS = re.compile(r"\\(?:text|textbf|textit|textrm|mathrm|mathbf|mathit|mbox|operatorname|bf|rm)\s*\{([^{}]*)\}")
_DOLLARS = re.compile(r"\$+([^$]*[^$\s])\s*\$+")


_SUPERSCRIPTS = re.compile("[⁻⁺]?[⁰¹²³⁴⁵⁶⁷⁸⁹]+")
_ASCII_OF_SUPERSCRIPTS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_OTHER_CHARACTERS = re.compile("[^\x00-\x7f]")


def ordinary(text: str) -> str:
    """Put ASCII's own for the digits of other scripts and typefaces and for full-width forms: ６．５％ is 6.5%.

    Superscripts are powers, and fractions of one character are written out: 10³ is 10^{3}, ⅝ is 5/8.
    """
    if text.isascii():
        return text
    text = _SUPERSCRIPTS.sub(lambda match: f"^{{{match[0].translate(_ASCII_OF_SUPERSCRIPTS)}}}", text)
    return _OTHER_CHARACTERS.sub(lambda match: _ordinary(match[0]), text)


@lru_cache(maxsize=1024)
def _ordinary(character: str) -> str:
    digit = unicodedata.decimal(character, None)
    if digit is not None:
        return str(digit)
    if unicodedata.decomposition(character).startswith("<fraction>"):
        return " " + unicodedata.normalize("NFKC", character).replace("\u2044", "/")
    if unicodedata.decomposition(character).startswith("<wide>") or character == "\uffe5":
        return unicodedata.normalize("NFKC", character)
    return _SIGNS.get(character, character)


def tidy(text: str) -> str:
    r"""The answer without what only looks: \left, \!, \text{…}, $…$, **…**, wide spaces, a last stop or comma."""
    text = _REPLACE.sub(lambda match: _REPLACED[match.group()], ordinary(text)).strip().strip("*").strip()
    while match := _DOLLARS.fullmatch(text):
        text = match[1].strip()
    text = " ".join(_WORDS.sub(r" \1 ", text).split()).replace(" ^", "^")
    return text[:-1].rstrip() if text.endswith((".", ",", ";")) else text


# Words, and what is the same without mathematics.

_CHOICE = re.compile(r"\(([a-j])\)|\(?([A-J])\)?[.:)]?")
FUNCTIONS = set("sin cos tan cot sec csc log exp sqrt arcsin arccos arctan sinh cosh tanh max min mod".split())
VARIABLES = set("abcxyzpqr")
"""A word of these letters alone is a product: xy, ab."""
_TEXT = re.compile(r"[^\W\d_][^\\{}^_=<>|]*")


def choice(text: str) -> str | None:
    """Return A for the tidy answers (A), (a), A, A. and so on; None for what is no choice, such as a, a variable."""
    match = _CHOICE.fullmatch(text)
    return match and (match[1] or match[2]).upper()


def is_words(text: str) -> bool:
    """Return whether a tidy answer is words and no formula: Tuesday, no, June 20; not xy, 2x, sin x."""
    if not _TEXT.fullmatch(text):
        return False
    first = re.split(r"[^A-Za-z]", text)[0].lower()
    if first in ("no", "up", "on"):
        return True
    return len(first) > 2 and first not in FUNCTIONS and not set(first) <= VARIABLES


def letters(text: str) -> str:
    """Return what is compared of words."""
    return re.sub(r"[\s.,;:!?'\"’*-]+", " ", text).strip().casefold()


def canonical(answer: str) -> str:
    r"""Return one text for answers plainly the same, to count votes by: 24, 24.0, $24 and \frac{48}{2} are "24".

    Plain numbers by their exact value, a percent sign or a `million` multiplied in. Units are left out, as most answers
    leave them out, but for those that say which of two: 8 am is not 8 pm. Words without case, formulas without spaces.
    Takes no mathematics: x+1 and 1+x are two.
    """
    number = plain_number(answer)
    if number is not None:
        which = f" {number.unit}" if number.unit in WHICH else ""
        return f"{number.value * number.scale}{which}"
    text = tidy(answer)
    return choice(text) or (letters(text) if is_words(text) else text.replace(" ", ""))
