"""The transcript as a widget: only the lines in sight are drawn, so that long episodes scroll as short ones do."""

from __future__ import annotations

from rich.console import Console
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from oreo.eval.terminal.reading import Reading
from oreo.eval.terminal.transcript import Line, transcript

CONSOLE = Console(width=1000, color_system="truecolor", force_terminal=True)
"""Turns styles by name into colours; what is drawn is cleaned before it comes here."""
_HERE = Style(color="bright_cyan", bold=True)


class TranscriptPane(ScrollView):
    """All lines of an episode; a bar at the left marks the step one stands at."""

    BINDINGS = [
        # What would scroll sideways, or to the ends, goes from step to step.
        Binding("left", "screen.step(-1)", "Back", show=False),
        Binding("right", "screen.step(1)", "Step", show=False),
        Binding("home", "screen.first", "First", show=False),
        Binding("end", "screen.last", "Last", show=False),
        Binding("up", "scroll_up", "Up", show=False),
        Binding("down", "scroll_down", "Down", show=False),
        Binding("pageup", "page_up", "Page up", show=False),
        Binding("pagedown", "page_down", "Page down", show=False),
    ]
    can_focus = True

    class Chosen(Message):
        """Somebody clicked on a step."""

        def __init__(self, pane: TranscriptPane, position: int) -> None:
            self.pane, self.position = pane, position
            super().__init__()

    def __init__(self) -> None:
        super().__init__()
        self.reading: Reading | None = None
        self.query_text = ""
        self.lines: list[Line] = []

    def show(self, reading: Reading, query: str | None = None) -> None:
        """Show an episode, with what a search is for marked, so that the step one stands at is in sight."""
        before, asked = self.reading, self.query_text
        self.reading = reading
        self.query_text = asked if query is None else query
        if before is None or before.view != reading.view or asked != self.query_text:
            self._lay_out()
        self._reveal()
        self.refresh()

    @property
    def hits(self) -> list[int]:
        """The line of each hit of the search."""
        return [number for number, line in enumerate(self.lines) for _ in range(line.hits)]

    def reveal_line(self, number: int) -> None:
        """Bring a line into sight."""
        height = max(1, self.scrollable_content_region.height)
        if not self.scroll_offset.y <= number < self.scroll_offset.y + height:
            self.scroll_to(y=max(0, number - height // 2), animate=False)

    def on_resize(self, event: events.Resize) -> None:
        self._lay_out()
        self._reveal()

    def on_click(self, event: events.Click) -> None:
        number = self.scroll_offset.y + event.y
        if number < len(self.lines):
            self.post_message(self.Chosen(self, self.lines[number].position))

    def action_page_up(self) -> None:
        self.scroll_page_up(animate=False)

    def action_page_down(self) -> None:
        self.scroll_page_down(animate=False)

    def action_scroll_up(self) -> None:
        self.scroll_up(animate=False)

    def action_scroll_down(self) -> None:
        self.scroll_down(animate=False)

    def _lay_out(self) -> None:
        if self.reading is None or not self.size.width:
            return
        # A cell for the mark of the step one stands at, and two for the scroll bar.
        width = max(1, self.size.width - 3)
        self.lines = transcript(self.reading.view, width, self.query_text)
        self.virtual_size = Size(width + 1, len(self.lines))

    def _reveal(self) -> None:
        """Scroll so far that the whole of the step is in sight, or its beginning where it is too long."""
        if self.reading is None:
            return
        numbers = [number for number, line in enumerate(self.lines) if line.position == self.reading.position]
        height = self.scrollable_content_region.height
        if not numbers or height < 1:
            return
        top = self.scroll_offset.y
        target = min(max(top, numbers[-1] - height + 1), numbers[0])
        if target != top:
            self.scroll_to(y=target, animate=False, immediate=True)

    def render_line(self, y: int) -> Strip:
        number = self.scroll_offset.y + y
        if self.reading is None or number >= len(self.lines):
            return Strip.blank(self.size.width, self.rich_style)
        line = self.lines[number]
        marked = line.position == self.reading.position
        segments = [Segment("▌" if marked else " ", _HERE if marked else None)]
        segments += [
            Segment(segment.text, segment.style) for segment in line.text.render(CONSOLE) if not segment.control
        ]
        return Strip(segments).adjust_cell_length(self.size.width).apply_style(self.rich_style)
