"""A line to type into at the bottom: search, filter, or a person's action. Shown while it is used."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Label


class SearchBar(Horizontal):
    """What is typed, and a word of what came of it. Enter and ↓ ask for the next hit, ↑ for the one before."""

    class Typed(Message):
        """The text has changed."""

        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    class Entered(Message):
        """Enter, or an arrow: by 1 or −1."""

        def __init__(self, text: str, by: int = 1) -> None:
            self.text, self.by = text, by
            super().__init__()

    class Left(Message):
        """Esc."""

    def __init__(self, prompt: str, *, id: str) -> None:
        super().__init__(classes="bar", id=id)
        self.label = Label(prompt, classes="prompt")
        self.input = Input(compact=True)
        self.result = Label("", classes="result")

    def compose(self) -> ComposeResult:
        yield self.label
        yield self.input
        yield self.result

    def on_mount(self) -> None:
        self.display = False

    def open(self, text: str = "") -> None:
        self.display = True
        self.input.value = text
        self.input.focus()

    def close(self) -> None:
        self.display = False
        self.tell("")

    def tell(self, what: str) -> None:
        self.result.update(what)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self.display:
            self.post_message(self.Typed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Entered(event.value))

    def on_key(self, event: events.Key) -> None:
        if event.key == "escape":
            event.stop()
            event.prevent_default()
            self.post_message(self.Left())
        elif event.key in ("down", "up"):
            event.stop()
            event.prevent_default()
            self.post_message(self.Entered(self.input.value, 1 if event.key == "down" else -1))
