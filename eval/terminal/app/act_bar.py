"""A line for a person's action, with the commands that the game accepts below it, the nearest first."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Input, Static

from oreo.eval.terminal.matching import completion, nearest
from oreo.eval.terminal.screen import crop
from oreo.text import one_line

_MOST = 6
"""Commands that are offered at a time."""


class ActBar(Vertical):
    """Tab completes, ↓ goes through what is offered; ↑, where nothing is typed, through what was done before."""

    class Acted(Message):
        """Enter: this is to be done."""

        def __init__(self, action: str) -> None:
            self.action = action
            super().__init__()

    class Left(Message):
        """Esc."""

    def __init__(self) -> None:
        super().__init__(classes="act")
        self.input = Input(compact=True)
        self.offered = Static("", classes="offered")
        self.commands: tuple[str, ...] = ()
        self.history: list[str] = []
        self._typed = ""
        """What was typed, without what ↓ and ↑ have put in its place."""
        self._chosen = -1
        self._choices: list[str] = []
        self._earlier = False
        """Whether the choices are actions of before, the last one first."""

    def compose(self) -> ComposeResult:
        yield self.input
        yield self.offered

    def on_mount(self) -> None:
        self.display = False
        self.input.placeholder = "your action; Tab completes, ↓ chooses, ↑ earlier ones, Esc leaves"

    def open(self, commands: Sequence[str], position: int) -> None:
        """Ask for an action after a step."""
        self.display = True
        self.border_title = f"your action as step {position + 1}"
        self.commands = tuple(dict.fromkeys(map(one_line, commands)))
        self.input.value = ""
        self._offer("")
        self.input.focus()

    def close(self) -> None:
        self.display = False
        self.post_message(self.Left())

    def _offer(self, typed: str) -> None:
        self._typed, self._chosen, self._earlier = typed, -1, False
        self._choices = nearest(typed, self.commands)
        self._draw()

    def _draw(self) -> None:
        first = max(0, self._chosen - _MOST + 1)
        text = Text(no_wrap=True)
        for at, command in enumerate(self._choices[first : first + _MOST], first):
            style = "reverse" if at == self._chosen else ""
            text.append(f"  {crop(command, max(1, self.size.width - 6))}\n", style=style)
        more = len(self._choices) - _MOST
        text.append(f"  {more} more" if more > 0 else "", style="dim")
        text.rstrip()
        self.offered.update(text)

    def on_resize(self) -> None:
        self._draw()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._chosen < 0 or event.value != self._choices[self._chosen]:
            self._offer(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        action = event.value.strip()
        if not action:
            return
        self.history = [earlier for earlier in self.history if earlier != action] + [action]
        self.close()
        self.post_message(self.Acted(action))

    def on_key(self, event: events.Key) -> None:
        if event.key not in ("escape", "down", "up", "tab"):
            return
        event.stop()
        event.prevent_default()
        if event.key == "escape":
            self.close()
        elif event.key == "tab":
            self.input.value = completion(self._typed or self.input.value, self.commands)
            self.input.cursor_position = len(self.input.value)
        else:
            self._choose(1 if event.key == "down" else -1)

    def _choose(self, by: int) -> None:
        """Put the next of what is offered into the line, or the action before the one that stands there."""
        if by < 0 and self._chosen < 0 and not self._typed and self.history:
            self._choices, self._earlier = [*reversed(self.history)], True
        if self._choices:
            self._chosen = (self._chosen + (-by if self._earlier else by)) % len(self._choices)
            self.input.value = self._choices[self._chosen]
            self.input.cursor_position = len(self.input.value)
            self._draw()
