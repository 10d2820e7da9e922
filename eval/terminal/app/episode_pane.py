"""One episode on the screen: what is to be done, the transcript, and beside or below it what is known of the step."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.widgets import Static

from oreo.eval.terminal.app.candidates_panel import CandidatesPanel
from oreo.eval.terminal.app.tokens_panel import TokensPanel
from oreo.eval.terminal.app.transcript_pane import TranscriptPane
from oreo.eval.terminal.app.value_line import ValueLine
from oreo.eval.terminal.app.world_panel import WorldPanel
from oreo.eval.terminal.live.turn_reading import TurnRead
from oreo.eval.terminal.reading import Reading, answer
from oreo.eval.terminal.screen import View
from oreo.eval.terminal.theme import LOST, WON
from oreo.eval.terminal.world import Fact
from oreo.text import one_line


def head(view: View) -> Text:
    """Two lines: the task, and where, which game and who. Where the task is all that is said at first, not twice."""
    text = Text(no_wrap=True, overflow="ellipsis")
    asked = one_line(view.task)
    twice = asked and one_line(answer(view, 0)).startswith(asked)
    text.append(one_line(view.env_id) if twice or not asked else asked, style="bold")
    parts = ["" if twice or not asked else view.env_id, view.task_type, view.game, view.agent]
    text.append("\n" + " · ".join(one_line(part) for part in parts if part), style="dim")
    return text


def progress(reading: Reading) -> Text:
    """A sign, a bar and words: how far one is, how far the episode is, and how it ended."""
    view = reading.view
    text = Text(no_wrap=True, overflow="ellipsis")
    text.append(f"step {reading.position} of {reading.length}")
    if not view.outcome:
        text.append("" if view.length is None else f", at most {view.length}")
        return text
    won = view.outcome == "won"
    text.append("  ✓ " if won else "  ✗ ", style=f"bold {WON if won else LOST}")
    text.append(one_line(view.outcome), style=f"bold {WON if won else LOST}")
    total = sum(step.reward for step in view.steps)
    text.append(f", return {total:g}", style="dim")
    return text


class EpisodePane(Vertical):
    """A reading, drawn; `show` is all that changes it."""

    def __init__(self, name: str = "") -> None:
        super().__init__(classes="episode")
        self.title = name
        self.reading: Reading | None = None
        self.turns: Sequence[TurnRead] = ()
        self.head = Static("", classes="head")
        self.transcript = TranscriptPane()
        self.candidates = CandidatesPanel()
        self.tokens = TokensPanel()
        self.world = WorldPanel()
        self.values = ValueLine()
        self.side = Vertical(classes="side")
        self.progress = Static("", classes="progress")
        self.waiting = Static("loading …", classes="waiting")

    def compose(self) -> ComposeResult:
        yield self.head
        yield self.waiting
        with Container(classes="body"):
            yield self.transcript
            with self.side:
                yield self.candidates
                yield self.tokens
                yield self.world
        yield self.values
        yield self.progress

    def on_mount(self) -> None:
        self.world.display = self.tokens.display = False
        if self.reading is not None:
            self.show(self.reading)

    def wait_for(self, what: str) -> None:
        """Say what is being waited for, in place of a blank."""
        self.waiting.update(Text(what))
        self.waiting.display = bool(what)

    def show(self, reading: Reading, query: str | None = None) -> None:
        """Draw an episode and where one stands in it."""
        self.reading = reading
        if not self.is_mounted:
            return
        self.waiting.display = False
        self.head.update(head(reading.view))
        self.progress.update(progress(reading))
        self.transcript.show(reading, query)
        self.candidates.show(reading.step, reading.position)
        self._show_turn()
        self._fit_side()

    def open(self, panel: TokensPanel | WorldPanel, wanted: bool) -> None:
        """Show or hide tokens or the world."""
        panel.display = wanted
        self._fit_side()

    def _fit_side(self) -> None:
        """Leave the transcript the whole width where nothing stands beside it at any step."""
        considered = self.reading is not None and any(step.candidates for step in self.reading.view.steps)
        self.side.set_class(not (considered or self.tokens.display or self.world.display), "empty")

    def show_turns(self, turns: Sequence[TurnRead]) -> None:
        """Show what the models say of each turn."""
        self.turns = turns
        self._show_turn()

    def _show_turn(self) -> None:
        if self.reading is not None:
            turn = self._turn()
            self.tokens.show(self.reading.step, turn)
            self.values.show(self.reading, None if turn is None else turn.implicit)

    def _turn(self) -> TurnRead | None:
        place = 0 if self.reading is None else self.reading.position
        return self.turns[place - 1] if 0 < place <= len(self.turns) else None

    def show_world(self, facts: Sequence[Fact] | str) -> None:
        self.world.show(facts)
