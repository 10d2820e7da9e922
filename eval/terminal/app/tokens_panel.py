"""A turn token by token: its text, its probability, and V after it."""

from __future__ import annotations

import math
from collections.abc import Sequence

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from oreo.eval.terminal.live.turn_reading import TurnRead
from oreo.eval.terminal.tokens import Token
from oreo.text import clean
from oreo.trajectory import Step

_NOT_STORED = "The tokens of this turn are not stored; with --agent CHECKPOINT its models read them."


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

    def show(self, step: Step | None, turn: TurnRead | None) -> None:
        """Show a step as the models read it, or what is stored of its tokens: their numbers."""
        self.border_title = "tokens"
        if step is None:
            return self.content.update("")
        if turn is not None:
            implicit = "" if turn.implicit is None else f"  implicit advantage β Σ ρ {turn.implicit:+.3f}"
            self.border_title = f"tokens{implicit}"
            return self.content.update(drawn(turn.tokens))
        if step.token_ids is None:
            return self.content.update(Text(_NOT_STORED, style="dim"))
        self.content.update(drawn([Token(number) for number in step.token_ids]))
