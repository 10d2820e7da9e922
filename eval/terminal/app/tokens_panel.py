"""A turn token by token: its text, its probability, and V after it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from oreo.eval.terminal.tokens import Token
from oreo.text import clean
from oreo.trajectory import Step

_NOT_STORED = "The tokens of this turn are not stored."


def drawn(tokens: Sequence[Token]) -> Text:
    """A token a line: probability, V after it, and its text in quotes, for blanks to be seen."""
    text = Text(no_wrap=True, overflow="ellipsis")
    for token in tokens:
        text.append("        " if token.log_prob is None else f"{100 * math.exp(token.log_prob):6.1f} %", style="dim")
        text.append("         " if token.value is None else f"  V{token.value:6.2f}")
        shown = clean(token.text).replace("\n", "⏎")
        text.append(f"  {shown!r}\n" if shown else f"  token {token.id}\n", style="cyan")
    text.rstrip()
    return text


class TokensPanel(VerticalScroll):
    """Tokens, or a line that says why there are none."""

    def __init__(self) -> None:
        self.content = Static("")
        super().__init__(self.content, classes="tokens")
        self.border_title = "tokens"
        self.step: Step | None = None

    def show(self, step: Step | None) -> None:
        """Say what is stored of a step's tokens: their numbers. `show_tokens` says more, where it has been asked."""
        if step is self.step:
            return
        self.step = step
        if step is None or step.token_ids is None:
            self.content.update(Text(_NOT_STORED if step else "", style="dim"))
        else:
            self.show_tokens([Token(number) for number in step.token_ids])

    def show_tokens_of(self, turns: Mapping[int, Sequence[Token]], position: int) -> None:
        """Show the tokens of a step, where they are among those that were read."""
        if position in turns:
            self.show_tokens(turns[position])

    def show_tokens(self, tokens: Sequence[Token]) -> None:
        self.content.update(drawn(tokens))
