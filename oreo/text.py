"""Text of others (environments, models, files, servers, paths) made safe to print: nothing in it steers a terminal."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable

_UNSHOWN = "\ufffd"
_LONGEST_NAME = 120
_NO_PATH = re.compile(r"\S{251,}")
_MOST_MARKS = 30
"""On one letter; more are nobody's writing, and cost terminals and layouts their time (UAX #15, Stream-Safe Text)."""


_SEQUENCES = re.compile(
    r"""  # a terminal's commands (ECMA-48, 5.3 to 5.6), in their forms of 7 and of 8 bits
    (?: \x1b\[ | \x9b ) [0-?]* [ -/]* [@-~]  # CSI
    # OSC, DCS, SOS, PM, APC and their text, where that ends
    | (?: \x1b[]PX^_] | [\x9d\x90\x98\x9e\x9f] ) [^\x00-\x1f\x7f-\x9f]* (?: \x07 | \x1b\\ | \x9c )
    | \x1b [ -/]* [0-OQ-WYZ\\`-~]  # ESC and a letter
    """,
    re.VERBOSE,
)


def clean(text: str) -> str:
    """`text` as it may be printed: what is left besides letters, marks, signs and spaces is the newline.

    Sequences that steer a terminal (colours, titles, links) go as a whole. A tab, a carriage return and the other
    blanks that move the cursor become a space. What has no width and is not seen goes: bidirectional controls, joiners,
    variation selectors (terminals do not agree how wide what they join is), and what accents stand on a letter beyond
    30. Every other control character, and what is no character at all, becomes "�".
    """
    if text.isascii() and text.isprintable():
        return text
    shown = _SEQUENCES.sub("", text).replace("\r\n", "\n").translate(_SHOWN)
    marks = shown.translate(_MARKS)  # of the same length
    for run in reversed(list(re.finditer(f"m{{{_MOST_MARKS + 1},}}", marks))):
        shown = shown[: run.start() + _MOST_MARKS] + shown[run.end() :]
    return shown


def one_line(text: str) -> str:
    """`text` in one line, with single spaces."""
    return " ".join(clean(text).split())


def short(name: str) -> str:
    """A name with its middle left out where it would fill the screen."""
    half = _LONGEST_NAME // 2
    return name if len(name) <= _LONGEST_NAME else f"{name[:half]}…{name[-half:]}"


def short_words(text: str) -> str:
    """`text` with `short` made of each word in it that is longer than paths are."""
    return _NO_PATH.sub(lambda word: short(word[0]), text)


def steers(character: str) -> bool:
    """Whether a character is none to be seen: a control, a format, half a surrogate pair, a separator of lines."""
    return unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")


def _shown(character: str) -> str:
    if character == "\n":
        return character
    if not steers(character):
        return "" if "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef" else character
    if character.isspace():
        return " "
    return "" if unicodedata.category(character) == "Cf" else _UNSHOWN


def _mark(character: str) -> str:
    return "m" if unicodedata.category(character) in ("Mn", "Me") else " "


class _Table(dict[int, str]):
    """What `str.translate` makes of a character, worked out when it is first met."""

    def __init__(self, rule: Callable[[str], str]) -> None:
        self.rule = rule

    def __missing__(self, code: int) -> str:
        self[code] = self.rule(chr(code))
        return self[code]


_SHOWN = _Table(_shown)
_MARKS = _Table(_mark)
