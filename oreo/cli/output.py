"""What the commands print with: results and JSON to standard output, progress and complaints to standard error."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer

from oreo.text import clean, steers

if TYPE_CHECKING:
    from oreo.console import Console


class Stopped(Exception):
    """The user pressed Ctrl-C; the message says what is kept and how to go on."""


def show_help(context: typer.Context) -> None:
    """Print the help of a command group that no command follows."""
    if context.invoked_subcommand is None:
        print(context.get_help())


def print_json(value: Any) -> None:
    """Print one JSON value on standard output.

    Numbers that JSON has no word for (nan, inf) become null. Characters that are not seen, or would steer a terminal,
    are written as escapes, so that the value stays what it is.
    """
    written = json.dumps(_finite(value), indent=2, ensure_ascii=False, default=str)
    print("".join(map(_escaped, written)))


def _escaped(character: str) -> str:
    if character == "\n" or not steers(character):  # newlines inside of strings are escaped already
        return character
    return "\\u007f" if character == "\x7f" else json.dumps(character)[1:-1]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def print_pairs(pairs: dict[str, Any], indent: str = "") -> None:
    """Print names and values below each other, a dict inside as an indented block."""
    names = [_in_line(name) for name in pairs]
    width = max(map(len, names), default=0)
    for name, value in zip(names, pairs.values(), strict=True):
        if isinstance(value, dict) and any(isinstance(item, dict) for item in value.values()):
            print(f"{indent}{name}")
            print_pairs(value, indent + "  ")
        else:
            print(f"{indent}{name:<{width}}  {_in_line(_readable(value))}")


def _readable(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_readable(item)}" for key, item in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _in_line(text: Any) -> str:
    """Clean and in one line; the spaces that columns are made of stay."""
    return clean(str(text)).replace("\n", " ")


def result_console() -> Console:
    """A console on standard output for tables, as wide as they need where that is no terminal."""
    from oreo.console import Console

    return Console() if sys.stdout.isatty() else Console(width=160)


@contextmanager
def on_interrupt(message: Callable[[], str]) -> Iterator[None]:
    """Turn Ctrl-C into one line that says what is kept and how to go on."""
    try:
        yield
    except KeyboardInterrupt:
        raise Stopped(message()) from None
