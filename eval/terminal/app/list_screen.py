"""The list of a buffer's episodes: sorted, filtered, searched; Enter reads one."""

from __future__ import annotations

from collections.abc import Callable

from textual import events, work
from textual.app import ComposeResult
from textual.screen import Screen
from textual.widgets import Footer, Static

from oreo.data.buffer import TrajectoryBuffer
from oreo.data.views import BufferView
from oreo.errors import OreoError
from oreo.eval.terminal.app.episode_list import EpisodeList, heading, layout
from oreo.eval.terminal.app.help_screen import HelpScreen
from oreo.eval.terminal.app.keys import LIST, bindings
from oreo.eval.terminal.app.live_episode import LiveEpisode
from oreo.eval.terminal.app.reader_screen import ReaderScreen
from oreo.eval.terminal.app.search_bar import SearchBar
from oreo.eval.terminal.rows import COLUMNS, Rows
from oreo.eval.terminal.shelf import Shelf
from oreo.text import one_line
from oreo.trajectory import Trajectory

_FIRST = 256
"""Rows that are read before anything is drawn."""
_FOLLOWING = 1.0
"""Seconds between two looks at a buffer that others write to."""
_NEXT = 5_000
"""Rows that are read until the list is drawn again."""


class ListScreen(Screen[None]):
    """Episodes as rows, read in the background."""

    BINDINGS = bindings(LIST)

    def __init__(
        self,
        buffer: TrajectoryBuffer,
        *,
        condition: str = "",
        episode: Callable[[Trajectory], LiveEpisode],
        delay: float = 0.5,
        follow: bool = False,
    ) -> None:
        """Args:
        buffer: whose episodes.
        condition: only those that it means; see `oreo.data.filters`.
        episode: makes a stored episode one to read.
        delay: seconds between two steps of one that runs on by itself.
        follow: whether episodes that are stored meanwhile appear.
        """
        super().__init__()
        self.buffer, self.condition, self.make_episode, self.delay = buffer, condition, episode, delay
        self.rows = Rows(self._view(condition))
        self.column, self.reverse = COLUMNS[0], False
        self.follow = follow
        self.columns = Static("", classes="columns")
        self.list = EpisodeList()
        self.status = Static("", classes="status")
        self.find_bar = SearchBar("/", id="find")
        self.filter_bar = SearchBar("where", id="filter")
        self._asked: list[int] = []

    def compose(self) -> ComposeResult:
        yield self.columns
        yield self.list
        yield self.find_bar
        yield self.filter_bar
        yield self.status
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self.rows.read(_FIRST)
        self._show(0)
        self.list.focus()
        self._read_on(self.rows)
        self.set_interval(0.1, self._read_values)
        if self.follow:
            self.set_interval(_FOLLOWING, self._look_again)

    def on_resize(self, event: events.Resize) -> None:
        self._draw_heading()

    def _view(self, condition: str) -> BufferView:
        return self.buffer.where(condition)

    # Rows.

    @work(thread=True)
    def _read_on(self, rows: Rows) -> None:
        """Read what there is of one set of rows, a part at a time."""
        while not rows.complete and rows is self.rows:
            rows.read(_NEXT)
            self.app.call_from_thread(self._grown, rows)

    @work(thread=True, exclusive=True, group="following")
    def _look_again(self) -> None:
        """Read the buffer anew where it holds more than is shown: writers' files grow side by side."""
        if not self.rows.complete:
            return
        rows = Rows(self._view(self.condition))
        rows.read()
        if len(rows) != len(self.rows):
            self.app.call_from_thread(self._replace, rows)

    def _replace(self, rows: Rows) -> None:
        """Go on with what was read anew. Who stands at the last row stays at the last; anybody else at his episode."""
        place, order = self.list.place, self.list.order
        number = self.rows.numbers[order[place]] if order else None
        at_last = not order or place == len(order) - 1
        self.rows = rows
        self._show(0)
        row = None if number is None or at_last else next((r for r, n in enumerate(rows.numbers) if n == number), None)
        self.list.go_to(len(rows) - 1 if row is None else self.list.order.index(row))

    def _grown(self, rows: Rows) -> None:
        if rows is self.rows:
            self._show(self.list.place)

    def _show(self, place: int) -> None:
        """Rows in their order; where they are sorted, the present row stays the present one."""
        order = self.rows.order(self.column, self.reverse)
        self.list.show(self.rows, order, place)
        self._draw_heading()
        self._tell()

    def _draw_heading(self) -> None:
        self.columns.update(heading(self.size.width, self.column, self.reverse))

    def _tell(self) -> None:
        lost = sum(not self.rows.won(row) for row in range(len(self.rows)))
        counted = f"{len(self.rows):,} episodes, {len(self.rows) - lost:,} won, {lost:,} lost"
        where = f" · where {one_line(self.condition)}" if self.condition else ""
        more = " · following" * self.follow if self.rows.complete else " · reading …"
        self.status.update(one_line(f"{counted}{where}{more} · {self.buffer.path}"))

    def _read_values(self) -> None:
        """Have the values of the rows in sight read, when these have stayed for a moment."""
        seen = self.list.in_sight()
        if seen and seen == self._asked and layout(self.size.width)[1]:
            missing = [row for row in seen if self.rows.values(row) is None]
            if missing:
                self._read_values_of(self.rows, missing)
        self._asked = seen

    @work(thread=True, exclusive=True, group="values")
    def _read_values_of(self, rows: Rows, wanted: list[int]) -> None:
        rows.read_values(wanted)
        self.app.call_from_thread(self.list.refresh)

    # Keys.

    def action_open(self) -> None:
        row = self.list.row
        if row is None:
            self.notify("there is no episode to open")
            return
        order = self.list.order
        numbers = [(self.rows.numbers[row],) for row in order]
        shelf = Shelf((self.buffer,), numbers, [not self.rows.won(row) for row in order])
        place = self.list.place
        reader = ReaderScreen(
            [self.make_episode(shelf.trajectories(place)[0])], shelf=shelf, place=place, delay=self.delay
        )
        self.app.push_screen(reader, lambda _: self.list.go_to(reader.place))

    def action_sort(self) -> None:
        self._sort(COLUMNS[(COLUMNS.index(self.column) + 1) % len(COLUMNS)].name, reverse=False)

    def action_reverse(self) -> None:
        self._sort(self.column.name, reverse=not self.reverse)

    def _sort(self, name: str, *, reverse: bool) -> None:
        row = self.list.row
        self.column, self.reverse = next(column for column in COLUMNS if column.name == name), reverse
        self._show(0)
        if row is not None:
            self.list.go_to(self.list.order.index(row))

    def on_click(self, event: events.Click) -> None:
        """A click on the name of a column sorts by it, a second one the other way round."""
        if event.widget is not self.columns:
            return
        begin = 0
        for column, cells in layout(self.size.width)[0]:
            if begin <= event.x < begin + cells:
                self._sort(column.name, reverse=column is self.column and not self.reverse)
                return
            begin += cells + 1

    def action_failure(self, by: int) -> None:
        place = self.rows.find_lost(self.list.order, self.list.place + by, by)
        if place is None:
            self.notify(f"no lost episode {'behind' if by > 0 else 'before'} this one")
        else:
            self.list.go_to(place)

    def action_find(self) -> None:
        self.filter_bar.close()
        self.find_bar.open()

    def action_filter(self) -> None:
        self.find_bar.close()
        self.filter_bar.open(self.condition)

    def action_back(self) -> None:
        if self.condition:
            self._filter("")

    def action_help(self) -> None:
        self.app.push_screen(HelpScreen("keys of the list", LIST))

    def on_search_bar_typed(self, event: SearchBar.Typed) -> None:
        if self.find_bar.display:
            self._find(event.text, self.list.place, 1)
        else:
            self.filter_bar.tell("")

    def on_search_bar_entered(self, event: SearchBar.Entered) -> None:
        if self.find_bar.display:
            self._find(event.text, self.list.place + event.by, event.by)
        else:
            self._filter(event.text)

    def on_search_bar_left(self) -> None:
        self.find_bar.close()
        self.filter_bar.close()
        self.list.focus()

    def _find(self, text: str, start: int, by: int) -> None:
        if not text:
            return
        place = self.rows.find(text, self.list.order, start, by)
        self.find_bar.tell("" if place is not None else "nothing")
        if place is not None:
            self.list.go_to(place)

    def _filter(self, condition: str) -> None:
        try:
            rows = Rows(self._view(condition))
        except OreoError as error:
            self.filter_bar.tell("not understood")
            self.notify(one_line(str(error)), severity="error", timeout=10, markup=False)
            return
        self.condition, self.rows = condition.strip(), rows
        self.rows.read(_FIRST)
        self.on_search_bar_left()
        self._show(0)
        self._read_on(self.rows)

    def on_episode_list_opened(self) -> None:
        self.action_open()
