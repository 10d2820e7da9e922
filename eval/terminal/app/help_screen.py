"""All keys on one page."""

from __future__ import annotations

from rich.table import Table
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from oreo.eval.terminal.app.keys import Key


class HelpScreen(ModalScreen[None]):
    """Closed by any of the keys that one tries first."""

    BINDINGS = [(key, "dismiss", "Close") for key in ("escape", "q", "question_mark", "enter")]

    def __init__(self, title: str, keys: tuple[Key, ...]) -> None:
        super().__init__()
        self.page_title, self.page_keys = title, keys

    def compose(self) -> ComposeResult:
        table = Table.grid(padding=(0, 2))
        table.add_column(no_wrap=True, style="bold")
        table.add_column()
        for key in self.page_keys:
            table.add_row(key.shown, key.help)
        with VerticalScroll(classes="help") as page:
            page.border_title = self.page_title
            yield Static(table)

    def action_dismiss(self, result: None = None) -> None:
        self.dismiss()
