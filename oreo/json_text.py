"""JSON of others, read in bounded memory: a text of `[],[],…` takes twenty times its size when it is parsed."""

from __future__ import annotations

import json
import re
from typing import Any

MOST_VALUES = 1 << 20
"""Of one text, those in texts inside it not counted: 7,000 steps with a hundred commands and five candidates each. Of
lists, dicts and numbers these are 300 MB at most; what texts take is as much as they are long."""
_SEPARATORS = "[{,"
_TEXT = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)


class TooManyValues(ValueError):
    """More than `MOST_VALUES`."""


def parse(text: str, **parsers: Any) -> Any:
    """The value of a JSON text.

    Args:
        parsers: `parse_float` and so on, as of `json.loads`.

    Raises:
        ValueError: it is no JSON.
        TooManyValues: it has more than `MOST_VALUES`.
        RecursionError: it is nested too deeply.
    """
    check_values(text)
    return json.loads(text, **parsers)


def check_values(text: str) -> None:
    """Raises TooManyValues where a JSON text has too many values."""
    if _separators(text) > MOST_VALUES and _separators(_TEXT.sub("", text)) > MOST_VALUES:
        raise TooManyValues(f"it has more than {MOST_VALUES:,} values")


def _separators(text: str) -> int:
    """At least as many as there are values inside the outermost, at most twice as many."""
    return sum(map(text.count, _SEPARATORS))
