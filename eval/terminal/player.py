"""The one owner of the terminal while an episode is shown: rich's Live and the keys, or plain lines without either."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType

from rich.console import Console
from rich.live import Live

from oreo.eval.terminal.keys import Keys
from oreo.eval.terminal.screen import View, lines, render


class Player:
    """Shows one view after the other.

    with Player(console, delay=0.5) as player:
        player.show(view)
        key = player.wait()        # "next", "back" or "quit"
    """

    def __init__(self, console: Console, *, delay: float = 0.5, paused: bool = False) -> None:
        self.console = console
        self.delay = delay
        self.paused = paused
        self._keys = Keys()
        self._live: Live | None = None
        self._printed = -1
        self._stack = ExitStack()

    @property
    def live(self) -> bool:
        """Whether there is a terminal to draw on."""
        return self.console.is_terminal and not self.console.is_dumb_terminal

    @property
    def has_keys(self) -> bool:
        return self._keys.available

    def __enter__(self) -> Player:
        if self.live:
            self._stack.enter_context(self._keys)
            # Drawn only when there is something new: no refreshing thread beside a model that computes.
            self._live = self._stack.enter_context(
                Live(console=self.console, auto_refresh=False, transient=False, vertical_overflow="crop")
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def show(self, view: View) -> None:
        """Draw `view`, or print what it adds to the one before."""
        if self._live is not None:
            # Two lines less than the terminal has, so that the last frame stays whole above the next prompt.
            width, height = self.console.size
            self._live.update(render(view, width=width, height=max(1, height - 2)), refresh=True)
            return
        for line in lines(view, after=self._printed):
            self.console.print(line, markup=False, highlight=False, soft_wrap=True, emoji=False)
        self._printed = len(view.steps)

    def wait(self) -> str:
        """Wait until the delay is over or a key says what is next: "next", "back" or "quit"."""
        if self._live is None:
            return "next"
        while True:
            key = self._keys.wait(None if self.paused and self.has_keys else self.delay)
            if key == "pause":
                self.paused = not self.paused
            elif key == "back":
                self.paused = True
                return key
            elif key is not None:
                return key
            elif not (self.paused and self.has_keys):
                return "next"
