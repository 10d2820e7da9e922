"""What a format is: a record in a file of its own, with a function that reads a row and one that writes an episode."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from oreo.actions import action_of
from oreo.data.interchange.sources import Row
from oreo.errors import DataError
from oreo.field_docs import document_fields
from oreo.trajectory import Trajectory


class Misfit(DataError):
    """A row is not what its format says; the message names the field."""


@dataclass(frozen=True)
class Episode:
    """An episode that was read."""

    trajectory: Trajectory
    """With `game` as the source names it (a path of its authors' machine, say), and what has no place in `extra`."""
    outcome_known: bool = True
    """False where the source does not say how it ended; `won` and the rewards then mean nothing."""


@dataclass(frozen=True)
class SetAside:
    """A row, or a part of one, that is read and holds no episode: a rollout that an error ended, no steps."""

    reason: str


@document_fields
@dataclass(frozen=True)
class Reading:
    """What whoever imports says of files that say it not themselves."""

    env: str = ""
    """The environment the episodes are from."""
    pattern: re.Pattern[str] | None = None
    """How an action is found in a turn: the last match, its first group or all of it; where there is none, all of the
    turn. None: as `oreo.actions`."""
    thoughts: bool = True
    """False: keep only the actions of turns."""
    sampled: Callable[[Sequence[int], str], tuple[int, ...] | None] | None = None
    """The tokens of a turn, of those that a file has of it, and of its text (oreo.encoding.sampled_tokens); None where
    they are not of it. They are then stored as `Step.token_ids`."""
    tokenizer: str = ""
    """The digest of the tokenizer that `sampled` means."""

    def action_and_turn(self, text: str) -> tuple[str, str | None]:
        """The action in a turn, and the turn as it is stored: None where it is the action.

        A turn in which the pattern alone finds the action ends in a line "Action: …", so that whoever is trained on it
        is understood by the rule that all act by.
        """
        action = action_of(text)
        if self.pattern is not None:
            matches = list(self.pattern.finditer(text))
            by_rule, action = action, text.strip()
            if matches:
                action = (matches[-1][1 if self.pattern.groups else 0] or "").strip()
                text = text if action == by_rule else f"{text}\nAction: {action}"
        return action, text if self.thoughts and text != action else None


Result: TypeAlias = Episode | SetAside


@document_fields
@dataclass(frozen=True)
class Format:
    """A format of trajectories."""

    name: str
    """What `--format` takes."""
    about: str
    """One line: whose it is, and what a row has."""
    fits: Callable[[Any], bool]
    """Whether a row looks like one of it. Of several that fit, one with `instead_of` the others is taken."""
    read: Callable[[Any, Reading], Iterable[Result]] | None = None
    """The episodes of a row. What is wrong with it raises `Misfit`. None: it is written only."""
    write: Callable[[Iterable[Trajectory]], Iterator[Any]] | None = None
    """Rows of these episodes. None: it is read only."""
    container: str = "jsonl"
    """What is written: "jsonl", a row a line; "json", one array of rows; "files", a folder with a file a row."""
    rows: Callable[[Path], Iterator[Row]] | None = None
    """The rows of a file or folder of its own kind; None: `oreo.data.interchange.sources.rows`."""
    opens: Callable[[Path], bool] | None = None
    """Whether a file or folder is of that kind."""
    save: Callable[[Iterable[Trajectory], Path], None] | None = None
    """Writes a file or folder of its own kind, in place of `write`."""
    tells_actions: bool = False
    """Whether a row says what the actions are, so that they are not looked for in turns."""
    instead_of: tuple[str, ...] = ()
    """Formats that fit the same rows and say less of them."""
    holds: tuple[str, ...] = ()
    """Of a format that is written only: the fields of an episode and its steps that it holds."""


# Looking at rows of anybody's.


def field(row: Any, name: str, kinds: type | tuple[type, ...], where: str = "") -> Any:
    """A field of a row.

    Raises:
        Misfit: it is missing, or of another type.
    """
    if not isinstance(row, dict):
        raise Misfit(f"{where or 'it'} is {_named(row)}, and not an object with a field {name}")
    if name not in row:
        raise Misfit(f"{where + '.' if where else ''}{name} is missing")
    return checked(row[name], f"{where + '.' if where else ''}{name}", kinds)


def checked(value: Any, name: str, kinds: type | tuple[type, ...]) -> Any:
    """A value of one of some types, `object` being any. A whole number is a float, and a boolean is no number.

    Raises:
        Misfit: it is of another type.
    """
    if kinds is object:
        return value
    kinds = kinds if isinstance(kinds, tuple) else (kinds,)
    fits = isinstance(value, kinds) or (float in kinds and isinstance(value, int))
    if not fits or (isinstance(value, bool) and bool not in kinds):
        raise Misfit(f"{name} is {_named(value)}, expected {' or '.join(map(_KINDS.__getitem__, kinds))}")
    return value


def parsed(value: Any, name: str) -> Any:
    """A value; of a text the one that it is the JSON of.

    Raises:
        Misfit: it is the JSON of none.
    """
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        raise Misfit(f"{name} is a text that is no JSON") from None


def number(value: Any, name: str) -> float:
    """A finite number; true is 1, and false 0.

    Raises:
        Misfit: it is none.
    """
    checked(value, name, (float, bool))
    try:
        finite = math.isfinite(value)
    except OverflowError:  # a whole number beyond what a float holds
        raise Misfit(f"{name} is a number of {len(str(abs(value)))} digits, and no float holds it") from None
    if not finite:
        raise Misfit(f"{name} is {value}, expected a finite number")
    return float(value)


def has(row: Any, *names: str) -> bool:
    """Whether a row has all these fields."""
    return isinstance(row, dict) and all(name in row for name in names)


_KINDS: dict[type, str] = {
    str: "a text",
    dict: "an object",
    list: "a list",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}


def _named(value: Any) -> str:
    return "null" if value is None else f"{_KINDS.get(type(value), type(value).__name__)} ({value!r:.40})"


def plain(value: Any) -> Any:
    """A value as JSON has it, for `extra`: numbers that are none become texts, times and bytes their texts."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return value if value == value and abs(value) != float("inf") else str(value)
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def joined(fields: dict[str, Any], *made: dict[str, Any]) -> dict[str, Any]:
    """What a row has besides, with what a reader made of it; a field with a name of the latter is called "row.NAME"."""
    own: dict[str, Any] = {name: value for part in made for name, value in part.items()}
    return {f"row.{name}" if name in own else name: value for name, value in fields.items()} | own


def besides(row: dict[str, Any], *names: str) -> dict[str, Any]:
    """The fields of a row that are not among these and hold something, for `extra`."""
    return {str(name): plain(value) for name, value in row.items() if name not in names and value is not None}
