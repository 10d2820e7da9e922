"""Exact arithmetic on text: `calculate("48/2")`, `format_value(Fraction(24))`. No eval, no floats, no giant numbers.

Read are + - * / ^, × · ÷, // (rounded down, as in Python), x before a number or a bracket (2x3, not 2x+3), brackets,
decimals, commas between thousands, scientific notation, percentages (20%*50 is 10; the sign is a division by 100) and
currency signs, which mean nothing. A number before a bracket multiplies it. There are no names, functions or roots.
"""

from __future__ import annotations

import re
from fractions import Fraction

from oreo.errors import UsageError

MAX_DIGITS = 300
"""No number here, neither given nor on the way, has a numerator or denominator of more digits."""
MAX_LENGTH = 1_000
"""Characters of an expression."""
MAX_DEPTH = 50
"""Brackets, signs and powers within one another; each is a few calls deep."""

_TOO_BIG = 10**MAX_DIGITS
_WHOLE = r"(?:[0-9]{1,3}(?:,[0-9]{3})+(?![0-9,])|[0-9]+)"
_TOKEN = re.compile(
    rf"\s*(?:(?P<number>(?:{_WHOLE}(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)|(?P<operator>\*\*|//|[-+*/^()%]))"
)
_SPELLINGS = str.maketrans(
    {"−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "∕": "/"}
    | {"[": "(", "]": ")"}
    | dict.fromkeys("$€£¥", " ")
)


_TIMES = re.compile(r"[xX](?=\s*[0-9.(\[$€£¥])")


def calculate(text: str) -> Fraction:
    """The value of an expression; an equals sign at its end is left out.

    Raises:
        UsageError: what is not arithmetic, or divides by zero, or has a number of more than MAX_DIGITS digits.
    """
    if len(text) > MAX_LENGTH:
        raise UsageError(f"an expression of {len(text):,} characters: at most {MAX_LENGTH:,} are calculated")
    return _Reader(text).value()


class _Reader:
    """An expression, read from left to right by one method for each strength of operator."""

    def __init__(self, text: str) -> None:
        self.text, self.depth = text, 0
        written = _TIMES.sub("*", text).strip().removesuffix("=").translate(_SPELLINGS).rstrip()
        self.tokens: list[str] = []
        position = 0
        while position < len(written):
            match = _TOKEN.match(written, position)
            if match is None:
                raise self.error(f"{written[position:].split()[0][:20]!r} is not arithmetic")
            self.tokens.append(match["number"] or match["operator"])
            position = match.end()
        self.tokens.reverse()  # the next one is the last

    def error(self, what: str) -> UsageError:
        shown = self.text if len(self.text) <= 60 else f"{self.text[:57]}..."
        return UsageError(f"cannot calculate {shown!r}: {what}; write it like 3*(1.50+2)/4")

    def value(self) -> Fraction:
        value = self.sum()
        if self.tokens:
            raise self.error(f"{self.tokens[-1]!r} where an operator was expected")
        return value

    def take(self, *tokens: str) -> str | None:
        return self.tokens.pop() if self.tokens and self.tokens[-1] in tokens else None

    def sum(self) -> Fraction:
        total = self.product()
        while operator := self.take("+", "-"):
            term = self.product()
            total = self.small(total + term if operator == "+" else total - term)
        return total

    def product(self) -> Fraction:
        total = self.signed()
        while True:
            if operator := self.take("*", "/", "//"):
                factor = self.signed()
            elif self.tokens and self.tokens[-1] == "(":
                operator, factor = "*", self.signed()
            else:
                return total
            if operator != "*" and factor == 0:
                raise self.error("division by zero")
            total = self.small(total * factor if operator == "*" else total / factor)
            if operator == "//":
                total = Fraction(total.numerator // total.denominator)

    def signed(self) -> Fraction:
        """A power with its signs: -2^2 is -4."""
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise self.error(f"more than {MAX_DEPTH} brackets, signs or powers within one another")
        sign = self.take("+", "-")
        value = self.signed() if sign else self.power()
        self.depth -= 1
        return -value if sign == "-" else value

    def power(self) -> Fraction:
        base = self.percentage()
        if not self.take("^", "**"):
            return base
        exponent = self.signed()  # 2^3^2 is 2^9
        if exponent.denominator != 1:
            raise self.error(f"the exponent {format_value(exponent)} is no whole number")
        if base == 0 and exponent < 0:
            raise self.error("division by zero")
        # Digits grow at least by log10(2) for each factor, unless the base is 0, 1 or -1: judged before it is built.
        size = max(abs(base.numerator), base.denominator)
        if size > 1 and abs(exponent) * (size.bit_length() - 1) > _TOO_BIG.bit_length():
            raise self.too_big()
        if size == 1:  # the exponent may still be long
            return base if exponent.numerator % 2 or base == 0 and exponent else Fraction(1)
        return self.small(base**exponent.numerator)

    def percentage(self) -> Fraction:
        value = self.atom()
        while self.take("%"):
            value = self.small(value / 100)
        return value

    def atom(self) -> Fraction:
        if self.take("("):
            value = self.sum()
            if not self.take(")"):
                raise self.error("a bracket is not closed")
            return value
        token = self.tokens.pop() if self.tokens else ""
        if not token or token[0] not in "0123456789.":
            raise self.error(f"{repr(token) if token else 'its end'} where a number was expected")
        mantissa, _, exponent = token.replace(",", "").lower().partition("e")
        if len(mantissa) > MAX_DIGITS or len(exponent) > 5 or abs(int(exponent or 0)) > MAX_DIGITS:
            raise self.too_big()
        return self.small(Fraction(mantissa.removesuffix(".")) * Fraction(10) ** int(exponent or 0))

    def small(self, value: Fraction) -> Fraction:
        if max(abs(value.numerator), value.denominator) >= _TOO_BIG:
            raise self.too_big()
        return value

    def too_big(self) -> UsageError:
        return self.error(f"a number in it has more than {MAX_DIGITS} digits")


def format_value(value: Fraction) -> str:
    """The value as a calculator shows it, in one way only: 24, -0.5, 61.25; no trailing zeros, no commas.

    A decimal that ends within 12 places is exact. Any other is rounded (half to even) to six significant digits, or,
    where that would cost more, to two places: 0.333333, 33333.33. Smaller than a billionth it is written 3.33333e-10.
    """
    if value.denominator == 1:
        return str(value.numerator)
    if 10**12 % value.denominator == 0:
        return _decimal(value, 12)
    size = abs(value)
    if size < Fraction(1, 10**9):
        exponent = len(str(size.numerator)) - len(str(size.denominator))  # too large by one, or right
        if size < Fraction(10) ** exponent:
            exponent -= 1
        mantissa = _decimal(value / Fraction(10) ** exponent, 5)
        return f"{mantissa}e{exponent}"
    places = 6
    if size >= 1:
        return _decimal(value, max(2, places - len(str(int(size)))))
    while size < Fraction(1, 10 ** (places - 5)):
        places += 1
    return _decimal(value, places)


def _decimal(value: Fraction, places: int) -> str:
    """`value` rounded to N `places`, without zeros at the end."""
    digits = str(abs(round(value * 10**places))).rjust(places + 1, "0")
    text = f"{digits[:-places]}.{digits[-places:]}".rstrip("0").rstrip(".")
    return f"-{text}" if value < 0 and text != "0" else text
