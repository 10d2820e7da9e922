"""The world as the environment shows it, what the last step changed first and marked."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.containers import VerticalScroll
from textual.widgets import Static

from oreo.eval.terminal.theme import CHANGED
from oreo.eval.terminal.world import Fact


def drawn(facts: Sequence[Fact]) -> Text:
    """One fact a line, those that changed first, with a star."""
    text = Text()
    for fact in sorted(facts, key=lambda fact: not fact.changed):
        text.append("* " if fact.changed else "  ", style=f"bold {CHANGED}")
        text.append(f"{fact.name}: ", style=f"bold {CHANGED}" if fact.changed else "bold")
        text.append(f"{fact.text}\n", style=CHANGED if fact.changed else "")
    text.rstrip()
    return text


class WorldPanel(VerticalScroll):
    """Facts, or a line that says why there are none."""

    def __init__(self) -> None:
        self.content = Static("")
        super().__init__(self.content, classes="world")
        self.border_title = "world"

    def show(self, facts: Sequence[Fact] | str) -> None:
        self.content.update(Text(facts, style="dim") if isinstance(facts, str) else drawn(facts))
