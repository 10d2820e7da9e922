"""What the agent considered at a step: each candidate on a line that begins with its numbers."""

from __future__ import annotations

from rich.text import Text
from textual.widgets import Static

from oreo.eval.terminal.candidates import Considered, ranked
from oreo.eval.terminal.screen import crop
from oreo.eval.terminal.theme import LOST, WON
from oreo.trajectory import Step

_SIGNS = {True: ("✓", WON), False: ("✗", LOST), None: (" ", "")}
"""Whether the game takes it: yes, no, nobody knows."""


def drawn(step: Step | None, width: int, most: int) -> Text:
    """The candidates of a step, best first, those beyond `most` counted."""
    rows = [] if step is None else ranked(step)
    text = Text(no_wrap=True, overflow="ellipsis")
    for row in rows[:most]:
        text.append_text(_line(row, width))
        text.append("\n")
    if len(rows) > most:
        text.append(f"  {len(rows) - most} more", style="dim")
    text.rstrip()
    return text


def _line(row: Considered, width: int) -> Text:
    line = Text(no_wrap=True)
    sign, colour = _SIGNS[row.accepted]
    line.append("▸" if row.taken else " ", style="bold cyan")
    line.append(sign, style=colour)
    # Numbers stand before the text: at any width they are next to what they are about.
    if width >= 24:
        line.append("       " if row.value is None else f" V{row.value:5.2f}")
    if width >= 44:
        line.append("         " if row.log_prob is None else f" lp{row.log_prob:6.2f}", style="dim")
    if width >= 36:
        line.append(f" ×{row.count:<2}" if row.count > 1 else "    ", style="dim")
    line.append(f" {crop(row.text, width - line.cell_len - 1)}", style="bold cyan" if row.taken else "")
    return line


class CandidatesPanel(Static):
    """As high as its candidates."""

    def __init__(self) -> None:
        super().__init__("", classes="candidates")
        self.step: Step | None = None
        self.border_title = "considered"

    def show(self, step: Step | None, number: int) -> None:
        self.step = step
        self.set_class(not (step and step.candidates), "empty")
        self.border_title = f"considered at step {number}"
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        self.update(drawn(self.step, max(1, self.content_size.width), most=8))
