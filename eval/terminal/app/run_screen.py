"""A training run as it goes on: curves of its log, drawn again when there is more."""

from __future__ import annotations

from pathlib import Path

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import Screen
from textual.widgets import Footer, Static

from oreo.errors import OreoError
from oreo.eval.terminal.run_log import RunLog, drawn, read_log
from oreo.text import one_line

_SECONDS = 1.0
"""Between two looks at the log."""


class RunScreen(Screen[None]):
    """Reads, and never writes."""

    BINDINGS = [("q", "app.quit", "quit")]

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.folder = folder
        self.log_now: RunLog | None = None
        self.curves = Static("")
        self.status = Static("", classes="status")

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=True):
            yield self.curves
        yield self.status
        yield Footer(compact=True, show_command_palette=False)

    def on_mount(self) -> None:
        self._look()
        self.set_interval(_SECONDS, self._look)

    def on_resize(self) -> None:
        self._draw()

    def _look(self) -> None:
        try:
            log = read_log(self.folder)
        except OreoError as error:
            self.status.update(one_line(str(error)))
            return
        if log != self.log_now:
            self.log_now = log
            self._draw()
        self.status.update(one_line(str(self.folder)))

    def _draw(self) -> None:
        if self.log_now is not None:
            self.curves.update(drawn(self.log_now, max(1, self.size.width - 2)))
