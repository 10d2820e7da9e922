"""The value of every state as a line that one can move along; a click goes to its step."""

from __future__ import annotations

from rich.text import Text
from textual import events
from textual.message import Message
from textual.widgets import Static

from oreo.eval.terminal.charts import chart, finite, label, span
from oreo.eval.terminal.reading import Reading, advantages, values
from oreo.eval.terminal.theme import FALL, RISE

_LABELS = 7
_ROWS = 3


def window(count: int, position: int, room: int, expected: int = 0) -> tuple[int, int, int]:
    """(first step, number of steps, cells a step) of `count` steps in `room` cells, with step `position` among them.

    Args:
        expected: steps that there may be, for bars of an episode under way to keep their width.
    """
    room = max(1, room)
    cell = max(1, min(3, room // max(1, count, expected)))
    shown = min(count, room // cell)
    first = max(0, min(position - 1 - shown // 2, count - shown))
    return first, shown, cell


def drawn(reading: Reading, width: int) -> Text:
    """A bar for the value of each state, blue where its step gained and orange where it lost, the present one in white.

    Args:
        width: cells.
    """
    numbers = values(reading.view)
    drawable = finite(numbers)
    if not drawable or width < _LABELS + 4:
        return Text("")
    low, high = span(drawable)
    gains = advantages(reading.view)
    first, shown, cell = _window(reading, width)
    rows = chart(numbers[first : first + shown], low, high, _ROWS)
    labels = [label(high), " " * _LABELS, label(low)]
    text = Text(no_wrap=True)
    for number, (name, row) in enumerate(zip(labels, rows, strict=True)):
        text.append(name, style="dim")
        for at, block in enumerate(row):
            text.append(block * cell, style=_style(first + at + 1 == reading.position, gains[first + at]))
        text.append("\n" if number + 1 < len(rows) else "")
    marks = [("▲" if first + at + 1 == reading.position else " ").ljust(cell) for at in range(shown)]
    text.append("\n" + " " * _LABELS + "".join(marks), style="bold")
    return text


def _window(reading: Reading, width: int) -> tuple[int, int, int]:
    return window(reading.length, reading.position, width - _LABELS, reading.view.length or 0)


def _style(present: bool, gain: float | None) -> str:
    colour = RISE if (gain or 0) > 0 else FALL if (gain or 0) < 0 else "default"
    return "bold bright_white" if present else colour


class ValueLine(Static):
    """Three rows of bars and a mark under the step one stands at."""

    class Chosen(Message):
        """Somebody clicked on a state."""

        def __init__(self, line: ValueLine, position: int) -> None:
            self.line, self.position = line, position
            super().__init__()

    def __init__(self) -> None:
        super().__init__("", classes="values")
        self.reading: Reading | None = None

    def show(self, reading: Reading, implicit: float | None = None) -> None:
        """Show an episode's values, and in words the explicit and the implicit advantage of the present step."""
        self.reading = reading
        numbers = values(reading.view)
        self.set_class(not finite(numbers), "empty")
        now = numbers[reading.position - 1] if reading.position else None
        gain = advantages(reading.view)[reading.position - 1] if reading.position else None
        self.border_title = "value of each state" + ("" if now is None else f"  V {now:.2f}")
        self.border_title += "" if gain is None else f"  advantage of step {reading.position} {gain:+.2f}"
        self.border_title += "" if implicit is None else f"  implicit {implicit:+.3f}"
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def on_click(self, event: events.Click) -> None:
        if self.reading is None:
            return
        first, shown, cell = _window(self.reading, self.content_size.width)
        at = (event.x - _LABELS - 1) // cell
        if 0 <= at < shown:
            self.post_message(self.Chosen(self, first + at + 1))

    def _draw(self) -> None:
        if self.reading is not None:
            self.update(drawn(self.reading, max(1, self.content_size.width)))
