"""What agent and environment have printed: it never reaches the screen itself."""

from __future__ import annotations

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from oreo.text import clean

_MOST = 100_000
"""Characters, the last ones."""


class LogScreen(ModalScreen[None]):
    """Closed by Esc, l or q."""

    BINDINGS = [(key, "dismiss", "Close") for key in ("escape", "q", "l", "enter")]

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="help") as page:
            page.border_title = "what agent and environment print"
            yield Static(Text(clean(self.text[-_MOST:]) or "nothing so far"))

    def on_mount(self) -> None:
        self.query_one(VerticalScroll).scroll_end(animate=False)

    def action_dismiss(self, result: None = None) -> None:
        self.dismiss()
