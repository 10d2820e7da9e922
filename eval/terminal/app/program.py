"""The program that owns the terminal: its style, what it begins with, and how it ends."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

from textual.app import App
from textual.binding import Binding
from textual.screen import Screen

from oreo.eval.terminal.app.cast import Cast, recording
from oreo.text import one_line

_CSS = """
Screen { layout: vertical; }
.panes { layout: horizontal; height: 1fr; }
.-narrow.pair .panes, .-usual.pair .panes { layout: vertical; }
EpisodePane { width: 1fr; height: 1fr; }
.pair EpisodePane { border-right: solid $surface-lighten-2; }
.head, .progress, .status, .columns, .offered { text-wrap: nowrap; text-overflow: ellipsis; }
.head { height: 2; padding: 0 1; }
.waiting { height: auto; padding: 1 2; text-style: italic; }
.body { layout: vertical; height: 1fr; }
TranscriptPane { height: 1fr; min-height: 3; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }
.side { height: auto; max-height: 50%; }
.-wide.single .body { layout: horizontal; }
.-wide.single TranscriptPane { width: 3fr; height: 100%; }
.-wide.single .side { width: 2fr; height: 100%; max-height: 100%; }
.candidates, .values, .world, .tokens, .act {
    border-top: solid $surface-lighten-2; border-title-color: $text-muted; border-title-style: none;
}
.candidates { height: auto; max-height: 10; padding: 0; }
.world, .tokens { height: 1fr; min-height: 4; max-height: 100%; }
.-narrow .world, .-usual .world, .-narrow .tokens, .-usual .tokens, .pair .world, .pair .tokens { height: 10; }
.-low .world, .-low .tokens, .-lowest .world, .-lowest .tokens { height: 4; }
.values { height: auto; padding: 0 1; }
.-low .values, .-lowest .values { display: none; }
.-lowest .candidates { display: none; }
.-lowest .head { height: 1; }
.-low .side { max-height: 5; }
.empty { display: none; }
.progress { height: 1; padding: 0 1; text-style: bold; }
.status { height: 1; padding: 0 1; }
.bar { height: 1; }
.bar Input { width: 1fr; }
.prompt { width: auto; padding: 0 1; text-style: bold; }
.result { width: auto; max-width: 60%; padding: 0 1; color: $text-muted; }
.act { height: auto; max-height: 9; }
.-lowest .act { max-height: 4; }
.act Input { width: 1fr; }
HelpScreen, LogScreen, ExportScreen { align: center middle; }
.help { width: 90%; max-width: 110; height: 90%; border: round $accent; background: $surface; padding: 0 1; }
.help Static { height: auto; }
.dialog { width: 80%; max-width: 90; height: auto; border: round $accent; background: $surface; padding: 0 1; }
.dialog Static { height: auto; }
.columns { height: 1; text-style: bold; }
EpisodeList { height: 1fr; scrollbar-size-vertical: 1; scrollbar-size-horizontal: 0; }
Footer { scrollbar-size: 0 0; }
"""


class Program(App[tuple[str, int]]):
    """Shows one screen; it returns what went wrong and the exit code that it is worth, or None."""

    CSS = _CSS
    ENABLE_COMMAND_PALETTE = False
    TITLE = "oreo"
    BINDINGS = [Binding("ctrl+c", "interrupt", "Stop", show=False, priority=True)]

    def __init__(self, first: Screen[None], cast: Cast | None = None) -> None:
        driver = None if cast is None else recording(self.get_driver_class(), cast)
        # With NO_COLOR textual turns colours into greys, unless they are the terminal's own: then there are none.
        super().__init__(driver_class=driver, ansi_color=bool(os.environ.get("NO_COLOR")))
        self.first = first
        self.interrupted = False

    def on_mount(self) -> None:
        self._showwarning = warnings.showwarning
        warnings.showwarning = self._notify_of
        self.push_screen(self.first, lambda _: self.exit())

    def on_unmount(self) -> None:
        warnings.showwarning = self._showwarning

    def _notify_of(self, message: Warning | str, *details: Any, **more: Any) -> None:
        """A warning, of a damaged file say, would be printed over the screen."""
        self.call_later(self.notify, one_line(str(message)), severity="warning", timeout=10, markup=False)

    def action_interrupt(self) -> None:
        self.interrupted = True
        self.exit()


def run(first: Screen[None], cast: Path | None = None) -> None:
    """Show a screen until its reader leaves.

    Args:
        first: the screen.
        cast: a file for a recording of the session.

    Raises:
        KeyboardInterrupt: by Ctrl-C.
        OreoError: agent or environment could not be made.
    """
    from oreo.errors import DataError, UsageError

    recorded = None if cast is None else Cast(cast.expanduser())
    program = Program(first, recorded)
    try:
        failure = program.run()
    finally:
        if recorded is not None:
            recorded.close()
    if program.return_code:  # textual has printed the traceback
        raise SystemExit(program.return_code)
    if program.interrupted:
        raise KeyboardInterrupt
    if failure is not None:
        message, code = failure
        raise (UsageError if code == UsageError.exit_code else DataError)(message)
