"""The rows of a list: only those in sight are drawn, so that a hundred thousand take no longer than ten."""

from __future__ import annotations

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from oreo.eval.terminal.app.transcript_pane import CONSOLE
from oreo.eval.terminal.rows import COLUMNS, VALUES, Column, Rows
from oreo.eval.terminal.screen import crop
from oreo.eval.terminal.theme import LOST, WON

_OPTIONAL = ("seed", "game", "agent", "return", "type")
"""Columns that a narrow terminal does without, in this order."""
_LEAST_TASK = 24


def layout(width: int) -> tuple[list[tuple[Column, int]], bool]:
    """(columns with their widths, whether the sparkline has room) in a terminal of some cells."""
    shown = list(COLUMNS)

    def task(sparkline: bool) -> int:
        taken = sum(column.width + 1 for column in shown if column.width) + (VALUES + 1) * sparkline
        return width - taken - 1

    for name in _OPTIONAL:
        if task(True) >= _LEAST_TASK:
            break
        shown = [column for column in shown if column.name != name]
    sparkline = task(True) >= _LEAST_TASK // 2
    room = max(1, task(sparkline))
    return [(column, column.width or room) for column in shown], sparkline


def heading(width: int, column: Column, reverse: bool) -> Text:
    """The names of the columns, with an arrow at the one that the rows are sorted by."""
    columns, sparkline = layout(width)
    text = Text(no_wrap=True)
    for shown, cells in columns:
        arrow = ("▼" if reverse else "▲") if shown is column else ""
        name = crop(shown.name + arrow, cells)
        text.append(name.rjust(cells) if shown.right else name.ljust(cells), style="bold")
        text.append(" ")
    text.append("values" if sparkline else "", style="bold")
    return text


class EpisodeList(ScrollView):
    """Rows in some order, one of them the present one."""

    BINDINGS = [
        Binding("up", "move(-1)", "Up", show=False),
        Binding("down", "move(1)", "Down", show=False),
        Binding("pageup", "page(-1)", "Page up", show=False),
        Binding("pagedown", "page(1)", "Page down", show=False),
        Binding("home", "go(0)", "First", show=False),
        Binding("end", "go(-1)", "Last", show=False),
    ]
    can_focus = True

    class Opened(Message):
        """The present row was clicked."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Rows | None = None
        self.order: list[int] = []
        self.place = 0

    def show(self, rows: Rows, order: list[int], place: int = 0) -> None:
        """Show rows in an order, and stand at one of them."""
        self.rows, self.order = rows, order
        self.place = max(0, min(place, len(order) - 1))
        self.virtual_size = Size(self.size.width, len(order))
        self._reveal()
        self.refresh()

    @property
    def row(self) -> int | None:
        """The present row."""
        return self.order[self.place] if self.order else None

    def go_to(self, place: int) -> None:
        self.place = max(0, min(place, len(self.order) - 1))
        self._reveal()
        self.refresh()

    def action_move(self, by: int) -> None:
        self.go_to(self.place + by)

    def action_page(self, by: int) -> None:
        self.go_to(self.place + by * max(1, self.size.height - 1))

    def action_go(self, place: int) -> None:
        self.go_to(len(self.order) - 1 if place < 0 else place)

    def on_click(self, event: events.Click) -> None:
        place = self.scroll_offset.y + event.y
        if place == self.place:
            self.post_message(self.Opened())
        elif place < len(self.order):
            self.go_to(place)

    def _reveal(self) -> None:
        height = max(1, self.size.height)
        top = self.scroll_offset.y
        target = min(max(top, self.place - height + 1), self.place)
        if target != top:
            self.scroll_to(y=target, animate=False, immediate=True)

    def in_sight(self) -> list[int]:
        """The rows that are drawn now."""
        top = self.scroll_offset.y
        return self.order[top : top + self.size.height]

    def render_line(self, y: int) -> Strip:
        place = self.scroll_offset.y + y
        if self.rows is None or place >= len(self.order):
            return Strip.blank(self.size.width, self.rich_style)
        line = self._line(self.order[place])
        style = self.rich_style + Style(reverse=True) if place == self.place else self.rich_style
        segments = [Segment(part.text, part.style) for part in line.render(CONSOLE) if not part.control]
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(style)

    def _line(self, row: int) -> Text:
        assert self.rows is not None
        columns, sparkline = layout(self.size.width)
        text = Text(no_wrap=True)
        for column, cells in columns:
            cell = Text(crop(self.rows.cell(row, column), cells))
            if column.stored == "won":
                cell.stylize(f"bold {WON if self.rows.won(row) else LOST}")
            cell.align("right" if column.right else "left", cells)
            text.append_text(cell)
            text.append(" ")
        if sparkline:
            text.append(self.rows.values(row) or "")
        return text
