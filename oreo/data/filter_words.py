"""The words of conditions (oreo.data.filters): what each says of an episode, and which stored columns it is read from.

Columns are those of `oreo.data.tables.SCHEMA`; "steps.cut" is the list of one field of all steps, which is read without
the rest of them.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from oreo.data.records import decoded
from oreo.data.selection import game_of_columns

CAME_FROM = "came_from"
"""In `Trajectory.extra`: the buffers an episode was copied from, the oldest first; see oreo.data.derived."""


@dataclass(frozen=True)
class Word:
    """What may be asked of an episode."""

    kind: str
    """"text", "number" or "flag"."""
    help: str
    columns: tuple[str, ...]
    read: Callable[..., Any] = lambda value: value
    """The values of the columns → the word's; None where it is not known."""


def _split(kwargs: str) -> str | None:
    split = decoded(kwargs, "env_kwargs").get("split")
    return split if isinstance(split, str) else None


def _came_from(extra: str) -> str | None:
    history = decoded(extra, "extra").get(CAME_FROM)
    last = history[-1] if isinstance(history, list) and history else None
    buffer = last.get("buffer") if isinstance(last, dict) else None
    return buffer if isinstance(buffer, str) else None


def _told(text: str) -> str | None:
    """A text that is left empty where it is not known."""
    return text or None


def _refused(valid: Sequence[bool | None]) -> int:
    return valid.count(False)


def _of_person(actors: Sequence[str]) -> int:
    return actors.count("person")


def _tokens(turns: Sequence[Sequence[int] | None]) -> int | None:
    return None if None in turns else sum(len(ids) for ids in turns if ids is not None)


WORDS: dict[str, Word] = {
    "won": Word("flag", "the episode was won", ("won",)),
    "terminated": Word("flag", "it ended in the world itself", ("terminated",)),
    "truncated": Word("flag", "it was cut off, by a limit on its steps say", ("truncated",)),
    "steps": Word("number", "how many it has", ("length",)),
    "reward": Word("number", "the sum of what its steps were paid", ("episode_return",)),
    "seed": Word("number", "given to the environment's reset", ("seed",)),
    "env": Word("text", "the environment's id", ("env_id",)),
    "split": Word("text", "which the environment was asked for by name", ("env_kwargs",), _split),
    "task": Word("text", "what was to be done", ("task",), _told),
    "task_type": Word("text", "the kind of task", ("task_type",), _told),
    "game": Word("text", "the game's name", ("game",), _told),
    "dialect": Word("text", "ALFWorld's: put or move", ("dialect",), _told),
    "grade": Word("text", "of an end beyond won and lost: correct, wrong, no_answer, timeout", ("grade",)),
    "agent": Word("text", "who acted, with its settings", ("agent",), _told),
    "checkpoint": Word("text", "the weights it acted with", ("checkpoint",), _told),
    "created": Word("text", "when it ended, UTC, such as 2026-11-28T16:42:03+00:00", ("created",), _told),
    "came_from": Word("text", "the buffer it was copied from last", ("extra",), _came_from),
    "cut_turns": Word("number", "turns that a limit on tokens has cut", ("steps.cut",), sum),
    "refused": Word("number", "actions that the environment refused", ("steps.action_valid",), _refused),
    "person_turns": Word(
        "number", "turns that a person chose, where an agent was helped", ("steps.actor",), _of_person
    ),
    "tokens": Word("number", "of its turns as they were sampled, where all are stored", ("steps.token_ids",), _tokens),
}
GROUPS = {
    "wins": "share of won episodes among those with the same WORD, such as wins(game)",
    "episodes": "number of episodes with the same WORD",
}
"""Functions of a word that are about all the episodes with its value."""
GAME = ("env_id", "game", "task", "seed")
"""What makes episodes ones of the same game."""


@dataclass(frozen=True)
class Value:
    """A word, or a function of one."""

    word: str
    group: str = ""
    """Of GROUPS, or none."""

    @property
    def kind(self) -> str:
        return "number" if self.group else WORDS[self.word].kind

    @property
    def columns(self) -> tuple[str, ...]:
        """What it is read from."""
        if not self.group:
            return WORDS[self.word].columns
        return ("won", *(GAME if self.word == "game" else WORDS[self.word].columns))

    def key(self, row: Mapping[str, Any]) -> Any:
        """Of the group that an episode with these columns is in."""
        if self.word == "game":
            return game_of_columns(*(row[name] for name in GAME))
        return _read(self.word, row)

    def __str__(self) -> str:
        return f"{self.group}({self.word})" if self.group else self.word


class Reader:
    """From stored columns to the values that conditions ask for.

    Where one of them is about groups, all episodes have to be counted before the first is read.
    """

    def __init__(self, values: Iterable[Value]) -> None:
        self.values = tuple(values)
        self.columns = list(dict.fromkeys(name for value in self.values for name in value.columns))
        self.groups = [value for value in self.values if value.group]
        self._counts: dict[str, dict[Any, list[int]]] = {
            value.word: collections.defaultdict(lambda: [0, 0]) for value in self.groups
        }
        """Of each word, by its value: episodes, and how many of them are won."""

    def count(self, row: Sequence[Any]) -> None:
        """Count an episode into its groups, from its columns in the order of `columns`."""
        columns = dict(zip(self.columns, row, strict=True))
        for word, counts in self._counts.items():
            of_group = counts[Value(word, "wins").key(columns)]
            of_group[0] += 1
            of_group[1] += columns["won"]

    def read(self, row: Sequence[Any]) -> dict[Value, Any]:
        """The values of an episode."""
        columns = dict(zip(self.columns, row, strict=True))
        return {value: self._of(value, columns) for value in self.values}

    def _of(self, value: Value, columns: Mapping[str, Any]) -> Any:
        if not value.group:
            return _read(value.word, columns)
        episodes, won = self._counts[value.word][value.key(columns)]
        return episodes if value.group == "episodes" else won / episodes


def _read(word: str, columns: Mapping[str, Any]) -> Any:
    return WORDS[word].read(*(columns[name] for name in WORDS[word].columns))
