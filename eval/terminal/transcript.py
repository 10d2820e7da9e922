"""The whole of an episode as lines of text: what was said, done and answered, with hits of a search. Pure functions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from rich.console import Console
from rich.style import Style
from rich.text import Text

from oreo.eval.terminal.reading import advantages, answer
from oreo.eval.terminal.screen import View, notes, paragraph
from oreo.eval.terminal.theme import FALL, HIT_BACKGROUND, HIT_COLOR, LOST, RISE
from oreo.text import one_line
from oreo.trajectory import Step

_MOST_CHARACTERS = 200_000
"""Of one observation or turn; the rest of a longer one is counted and not shown."""
_HIT = "hit"
_FIGURES = 7
"""Cells for a step's advantage."""


@dataclass(frozen=True)
class Line:
    """A line of the transcript."""

    position: int
    """The step it belongs to; 0: what was said at first."""
    text: Text
    hits: int = 0
    """Hits of the search that begin in it."""


def transcript(view: View, width: int, query: str = "") -> list[Line]:
    """All lines of an episode, at most `width` cells wide each, in order."""
    width = max(1, width)
    lines = list(_observation_lines(0, answer(view, 0), width, query, 0))
    gains = advantages(view)
    valued = any(gain is not None for gain in gains) and width >= 40
    for position, (step, gain) in enumerate(zip(view.steps, gains, strict=True), 1):
        lines += _action_lines(position, step, gain, valued, width, query)
        lines += _observation_lines(position, answer(view, position), width, query, 4)
    return lines


@lru_cache(maxsize=8192)
def _observation_lines(position: int, text: str, width: int, query: str, indent: int) -> tuple[Line, ...]:
    return tuple(Line(position, *wrapped) for wrapped in _wrapped(text, width, query, indent, ""))


@lru_cache(maxsize=8192)
def _action_lines(
    position: int, step: Step, gain: float | None, valued: bool, width: int, query: str
) -> tuple[Line, ...]:
    lines = []
    indent = 4 + (_FIGURES if valued else 0)
    if step.turn is not None and one_line(step.turn) != one_line(step.action):
        lines += [Line(position, *wrapped) for wrapped in _wrapped(step.turn, width, query, indent, "italic")]
    first, *more = _wrapped(one_line(step.action) or "(nothing)", width - indent - 2, query, 0, "bold cyan")
    line = Text()
    line.append(f"{position:>3} ", style="dim")
    if valued:
        line.append(f"{_gain(gain):<{_FIGURES}}", style=RISE if (gain or 0) > 0 else FALL if (gain or 0) < 0 else "dim")
    # Beside the action, where a narrow terminal still shows it.
    line.append(*(("✗ ", f"bold {LOST}") if step.action_valid is False else ("> ", "bold cyan")))
    line.append_text(first[0])
    for note, style in notes(step):
        line.append(f"  {note}", style=style)
    line.truncate(width)
    lines.append(Line(position, line, first[1]))
    for text, hits in more:
        text.pad_left(min(indent + 2, width - 1))
        lines.append(Line(position, text, hits))
    return tuple(lines)


def _gain(gain: float | None) -> str:
    """With a sign and a triangle, so that no colour has to be told from another."""
    if gain is None:
        return ""
    return f"{'▲' if gain > 0 else '▼' if gain < 0 else '='}{abs(gain):.2f}"


def _wrapped(text: str, width: int, query: str, indent: int, style: str) -> list[tuple[Text, int]]:
    """(line, hits that begin in it) for each line of a text."""
    indent = min(indent, max(0, width // 6))
    width = max(1, width - indent)
    cut = len(text) - _MOST_CHARACTERS
    whole = Text(paragraph(text[:_MOST_CHARACTERS]), style=style)
    if cut > 0:
        whole.append(f"\n… {cut:,} more characters", style="dim")
    _mark(whole, query)
    seen: set[int] = set()
    rows = []
    for line in list(whole.wrap(Console(width=width, color_system=None), width)) or [Text("", style=style)]:
        begun = {number for span in line.spans if (number := _number_of(span.style)) is not None} - seen
        seen |= begun
        line.truncate(width)
        line.pad_left(indent)
        rows.append((line, len(begun)))
    return rows


def _mark(text: Text, query: str) -> None:
    """Give every hit a style of its own number, by which it is found again in the wrapped lines."""
    if query:
        for number, match in enumerate(re.finditer(re.escape(query), text.plain, re.IGNORECASE)):
            text.stylize(Style(color=HIT_COLOR, bgcolor=HIT_BACKGROUND, meta={_HIT: number}), *match.span())


def _number_of(style: str | Style) -> int | None:
    return style.meta.get(_HIT) if isinstance(style, Style) else None
