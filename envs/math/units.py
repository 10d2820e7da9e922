r"""What may stand behind a plain number: `cm`, `% of the class`, `million`, `miles per hour`, `clips`, `p.m.`

`after_number` reads it, `ratio` says how many of one unit another one is. Numbers themselves are read in answers.py.

The factors are exact: international inch and pound; gallon and ton (2,000 pounds) of the United States.
"""

from __future__ import annotations

import re
from fractions import Fraction
from functools import lru_cache

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

_UNITS = {  # how many of a base unit it is, and how else it is written; without a number it is a base unit itself
    "m": ("", "meter metre"),
    "mm": ("1/1000 m", "millimeter millimetre"),
    "cm": ("1/100 m", "centimeter centimetre"),
    "km": ("1000 m", "kilometer kilometre"),
    "inch": ("0.0254 m", "in inche"),
    "foot": ("0.3048 m", "ft feet"),
    "yard": ("0.9144 m", "yd"),
    "mile": ("1609.344 m", "mi"),
    "acre": ("4046.8564224 m2", ""),
    "hectare": ("10000 m2", ""),
    "liter": ("0.001 m3", "l litre"),
    "ml": ("0.000001 m3", "milliliter millilitre"),
    "gallon": ("0.003785411784 m3", "gal"),
    "quart": ("0.000946352946 m3", "qt"),
    "pint": ("0.000473176473 m3", "pt"),
    "g": ("", "gram"),
    "mg": ("1/1000 g", "milligram"),
    "kg": ("1000 g", "kilogram"),
    "pound": ("453.59237 g", "lb"),
    "ounce": ("28.349523125 g", "oz"),
    "ton": ("907184.74 g", ""),
    "tonne": ("1000000 g", ""),
    "second": ("", "s sec"),
    "minute": ("60 second", "min"),
    "hour": ("3600 second", "h hr"),
    "day": ("86400 second", ""),
    "week": ("604800 second", ""),
    "month": ("", ""),  # no fixed number of days
    "year": ("12 month", "yr"),
    "decade": ("120 month", ""),
    "century": ("1200 month", "centuries"),
    "cent": ("", "¢"),
    "dollar": ("100 cent", "$ usd"),
    "euro": ("", "€ eur"),
    "sterling": ("", "£ gbp"),
    "yen": ("", "¥"),
    "degree": ("", "°"),
    "radian": ("", "rad"),
    "celsius": ("", ""),
    "fahrenheit": ("", ""),
    "kelvin": ("", ""),
    "hertz": ("", "hz"),
    "joule": ("", ""),
    "newton": ("", ""),
    "watt": ("", ""),
    "calorie": ("", ""),
    "am": ("", ""),
    "pm": ("", ""),
    "BC": ("", "BCE"),
    "AD": ("", "CE"),
}
WHICH = {"am", "pm", "BC", "AD"}
"""Units that are no amounts: they say which of two is meant."""
_UNIT_OF = {word: unit for unit, (_, words) in _UNITS.items() for word in (unit, *words.split())}
_MEANS_ALSO = {"degree": ("celsius", "fahrenheit"), "pound": ("sterling",)}
_SHORTHAND = {"mph": "mile / hour", "kph": "km / hour", "kmh": "km / hour", "°": " degree ", "/": " / "}
_SHORTHANDS = re.compile(r"\b(?:mph|kph|kmh)\b|[°/]", re.IGNORECASE)
_OF_DEGREES = {"c": "celsius", "celsius": "celsius", "f": "fahrenheit", "fahrenheit": "fahrenheit"}
_PER = {"/", "per", "a", "an", "each", "every"}
_BEFORE = {"sq": "2", "square": "2", "cu": "3", "cubic": "3"}
_BEHIND = {"squared": "2", "cubed": "3", "²": "2", "³": "3"}
_WORD = re.compile(r"(/|[A-Za-z¢$€£¥][A-Za-z.'’-]*)(?:\^\{?([23])\}?|([²³]))?")

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen"
)
_TENS = "twenty thirty forty fifty sixty seventy eighty ninety"
NUMBER_WORDS = {word: value for value, word in enumerate(_SMALL.split())}
NUMBER_WORDS |= {word: 10 * value for value, word in enumerate(_TENS.split(), start=2)}

OPERATORS = set(
    "and or nor to not plus minus times over mod modulo sqrt sin cos tan cot sec csc log exp factorial squared cubed "
    "inverse reciprocal negative below choose half halves third thirds fourth fourths fifth fifths sixth sixths "
    "seventh sevenths eighth eighths ninth ninths tenth tenths hundredth hundredths thousandth thousandths".split()
)
"""Words that, next after a number, make something else of it. (Not quarters: those are coins, too.)"""
_ORDINALS = set("third fourth fifth sixth seventh eighth ninth tenth".split())
_AFTER_TIMES = set(
    "more less fewer as larger greater bigger faster slower longer smaller higher older heavier a per each every in "
    "total altogether daily".split()
)
_NOTE = re.compile(r"\s*\(([^()]+)\)\s*")

CALCULATIONS = set(
    "or not half hundred hundreds thousand thousands million millions billion billions trillion trillions dozen dozens "
    "divided multiplied added subtracted doubled tripled quadrupled halved remainder twice double triple".split()
) | (set(NUMBER_WORDS) - {"one"})
"""Words that make something else of a number wherever they stand behind it."""


def after_number(text: str, currency: str = "") -> tuple[Fraction, str] | None:
    """Scale and unit in what follows a number, None where it makes no plain number of it.

    Args:
        text: ` million dollars`, ` m/s^2`; with the space before it, without which only known units are read.
        currency: the sign before the number: `$` of $5 per hour.
    Returns:
        What it is counted in (1/100 of a percent sign), and the unit as `ratio` takes it: cm, foot2, mile/hour; empty
        where it has none that is known, or several, such as `pounds of force in a foot`.
    """
    note = _NOTE.fullmatch(text)
    if note:  # 5 (times), 123 (third graders): what is counted, and no product
        text = f" {note[1]}"
    apart = text[:1] == " "
    text = text.strip()
    scale = Fraction(1)
    for word, meaning in _SCALES.items():
        if text.lower().startswith(word) and not text[len(word) :][:1].isalpha():
            scale, text = meaning, text[len(word) :].strip()
            break
    if not text:
        return scale, _UNIT_OF.get(currency, "")
    words = _SHORTHANDS.sub(lambda match: _SHORTHAND[match.group().lower()], text).split()
    if apart and words[0] == "of":  # 2/3 of a cup
        words = words[2:] if words[1:2] and words[1] in ("a", "an", "the") else words[1:]
    unit = _unit(words, apart, bool(currency))
    if unit is None:
        return None
    above, per, below = unit.partition("/")
    if currency:
        above = _UNIT_OF[currency]
    return scale, f"{above}{per}{below}" if above else ""


def _unit(words: list[str], apart: bool, money: bool) -> str | None:
    """Return `cm2`, `mile/hour`, `/hour`; empty where no one unit is the unit, None where these words are no unit's."""
    above: list[str] = []
    below: list[str] = []
    side, power, strict = above, "", True
    for index, word in enumerate(words):
        match = _WORD.fullmatch(word.strip("(),"))
        if match is None:
            return None
        name = match[1].replace(".", "")
        if _UNIT_OF.get(name) not in WHICH:
            name = name.lower()
        unit = _UNIT_OF.get(name) or _UNIT_OF.get(name.removesuffix("s"))
        if unit in ("BC", "AD") and not apart or name == "in" and index:
            unit = None
        # Short words would be variables where a unit is due: next after the number, and after a stroke.
        understood = unit or name in _BEFORE or (money and name == "/")  # $5/hour
        counted = apart and len(name) > 2 and (name not in OPERATORS or _is_counted(name, words[index + 1 :]))
        if strict and not understood and not counted or name in CALCULATIONS:
            return None
        strict = name == "/"
        if side[-1:] == ["degree"] and name in _OF_DEGREES:
            side[-1] = _OF_DEGREES[name]
        elif name in _PER:
            side = below
        elif name in _BEFORE:
            power = _BEFORE[name]
        elif name in _BEHIND and side and side[-1][-1] not in "23":
            side[-1] += _BEHIND[name]
        elif unit:
            side.append(unit + (match[2] or _BEHIND.get(match[3] or "", power)))
            power = ""
    if not words or strict:
        return None
    if len(above) > 1 or len(below) > 1:
        return ""
    return "".join(above) + "".join(f"/{unit}" for unit in below)


def _is_counted(name: str, following: list[str]) -> bool:
    """Return whether an operator's word is counted: 5 times, 5 times a day, 123 third graders; not 5 times x."""
    if name == "times":
        return not following or following[0] in _AFTER_TIMES and following != ["a"]
    several = any(len(word) > 3 and word.strip("(),.").endswith("s") for word in following)
    return name in _ORDINALS and several and following[0] != "of"


@lru_cache(maxsize=1024)
def ratio(unit: str, other_unit: str) -> Fraction | None:
    """Return how many of the other unit a unit is: 10 for cm and mm; None where they measure other things.

    1 where a unit is unknown (empty). What comes after `per` may be left unsaid: 5 dollars per hour is 5 dollars.
    """
    if unit == other_unit or not unit or not other_unit:
        return Fraction(1)
    if "/" not in unit or "/" not in other_unit:
        unit, other_unit = unit.partition("/")[0], other_unit.partition("/")[0]
    for first in (unit, *_MEANS_ALSO.get(unit, ())):
        for second in (other_unit, *_MEANS_ALSO.get(other_unit, ())):
            (amount, measures), (per, measures_too) = _measured(first), _measured(second)
            if measures == measures_too:
                return amount / per
    return None


def _measured(unit: str) -> tuple[Fraction, dict[str, int]]:
    """Return a unit in base units: of km/hour 5/18, and {"m": 1, "second": -1}."""
    amount, powers = Fraction(1), dict[str, int]()
    for part, sign in zip(unit.split("/"), (1, -1), strict=False):
        name, power = _power(part)
        number, _, base = (_UNITS[name][0] or f"1 {name}").partition(" ")
        base, dimensions = _power(base)
        amount *= Fraction(number) ** (sign * power)
        powers[base] = powers.get(base, 0) + sign * power * dimensions
    return amount, powers


def _power(unit: str) -> tuple[str, int]:
    return (unit[:-1], int(unit[-1])) if unit[-1] in "23" else (unit, 1)
