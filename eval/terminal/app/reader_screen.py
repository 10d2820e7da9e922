"""Reading episodes: one, or two side by side and in step. Keys move; who acts live is asked through `LiveEpisode`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Container
from textual.screen import Screen
from textual.timer import Timer
from textual.widgets import Footer, Static

from oreo.eval.terminal.app.act_bar import ActBar
from oreo.eval.terminal.app.episode_pane import EpisodePane
from oreo.eval.terminal.app.export_screen import ExportScreen
from oreo.eval.terminal.app.help_screen import HelpScreen
from oreo.eval.terminal.app.keys import EPISODE, bindings
from oreo.eval.terminal.app.live_episode import LiveEpisode
from oreo.eval.terminal.app.log_screen import LogScreen
from oreo.eval.terminal.app.search_bar import SearchBar
from oreo.eval.terminal.app.transcript_pane import TranscriptPane
from oreo.eval.terminal.app.value_line import ValueLine
from oreo.eval.terminal.reading import Reading, next_fall, next_of, refusals
from oreo.eval.terminal.screen import step_text
from oreo.eval.terminal.shelf import Shelf, whole
from oreo.eval.terminal.theme import LOST
from oreo.eval.terminal.world import facts
from oreo.text import one_line

_FASTEST, _SLOWEST = 1 / 64, 16.0
"""Seconds between two steps."""


class ReaderScreen(Screen[None]):
    """One or two episodes, where one stands in them, and whether they run on by themselves."""

    BINDINGS = bindings(EPISODE)
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (60, "-usual"), (100, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-lowest"), (15, "-low"), (22, "-high"), (40, "-highest")]

    def __init__(
        self,
        episodes: Sequence[LiveEpisode],
        *,
        shelf: Shelf | None = None,
        place: int = 0,
        playing: bool = False,
        person: bool = False,
        delay: float = 0.5,
    ) -> None:
        """Args:
        episodes: one or two; what is stored acts when it is taken over.
        shelf: what `n`, `N`, `]` and `[` go to.
        place: where on it the first episode stands.
        playing: whether it runs on by itself from the beginning.
        person: whether a person plays, who is asked for an action whenever there is one to take.
        delay: seconds between two steps then.
        """
        super().__init__(classes="pair" if len(episodes) > 1 else "single")
        self.episodes = list(episodes)
        self.panes = [EpisodePane() for _ in episodes]
        self.shelf, self.place = shelf, place
        self.playing, self.delay = playing, max(_FASTEST, delay)
        self.person = person
        self.searched = ""
        self._hit = -1
        self._wants_world = False
        self._timer: Timer | None = None
        self.status = Static("", classes="status")
        self.search = SearchBar("/", id="search")
        self.act_bar = ActBar()

    def compose(self) -> ComposeResult:
        with Container(classes="panes"):
            yield from self.panes
        yield self.search
        yield self.act_bar
        yield self.status
        yield Footer(compact=True, show_command_palette=False)

    async def on_mount(self) -> None:
        for episode, pane in zip(self.episodes, self.panes, strict=True):
            self._attend(episode, pane)
        self.panes[0].transcript.focus()
        self._tell()
        self._run_on()

    def _attend(self, episode: LiveEpisode, pane: EpisodePane) -> None:
        """Show an episode in a pane from now on."""
        episode.on_change = lambda: self._changed(episode, pane)
        episode.on_trouble = lambda message: self.notify(one_line(message), severity="error", timeout=10, markup=False)
        episode.on_news = lambda message: self.notify(one_line(message), timeout=5, markup=False)
        if episode.reading is not None:
            pane.show(episode.reading, self.searched)
        else:
            pane.wait_for(episode.waiting_for)
            self.run_worker(episode.begin(), exclusive=False)

    async def on_unmount(self) -> None:
        for episode in self.episodes:
            await episode.closed()

    # Showing.

    def _changed(self, episode: LiveEpisode, pane: EpisodePane) -> None:
        """Something came from the process that acts."""
        if not self.is_mounted:
            return
        if episode.reading is None:
            pane.wait_for(episode.waiting_for)
        else:
            pane.show(episode.reading, self.searched)
        self._show_world(episode, pane)
        pane.show_turns(episode.turns)
        if episode.failure is not None and episode.reading is None:
            self.app.exit(episode.failure)
            return
        self._tell()
        self._run_on()
        if pane.tokens.display and not self.playing and episode.failure is None:
            episode.ask_tokens()  # of steps that have come since
        if self.person and episode.reading is not None and not episode.is_busy:
            self._ask_person(episode)

    def _ask_person(self, episode: LiveEpisode) -> None:
        """Have a person who plays type the next action."""
        if episode.is_over:
            self.act_bar.close()
        elif not self.act_bar.display and episode.reading is not None and episode.failure is None:
            self.act_bar.open(episode.commands, episode.reading.position)

    def _show_world(self, episode: LiveEpisode, pane: EpisodePane) -> None:
        if not self._wants_world or episode.reading is None:
            return
        world = episode.world(episode.reading.position)
        if world is not None:
            before = episode.world(episode.reading.position - 1) if episode.reading.position else None
            pane.show_world(facts(world, before))
        else:
            pane.show_world(episode.why_no_world)

    def _move_to(self, position: int, *, keep_playing: bool = False) -> None:
        """Go to a step, in both episodes."""
        if not keep_playing:
            self.playing = False
        for episode, pane in zip(self.episodes, self.panes, strict=True):
            if episode.reading is not None:
                episode.reading = episode.reading.at(position)
                pane.show(episode.reading)
                self._show_world(episode, pane)
        self._tell()
        self._run_on()

    @property
    def _position(self) -> int:
        """The furthest of the positions: of two episodes in step, the shorter one may have ended."""
        return max((episode.reading.position for episode in self.episodes if episode.reading), default=0)

    @property
    def _reading(self) -> Reading | None:
        return self.episodes[0].reading

    def _tell(self) -> None:
        """The line above the keys: whether it runs on, how fast, and what is being waited for."""
        waiting = next((episode.waiting_for for episode in self.episodes if episode.waiting_for), "")
        failure = next((episode.failure for episode in self.episodes if episode.failure), None)
        text = Text(no_wrap=True, overflow="ellipsis")
        if self.playing:
            text.append(f"▶ a step every {self.delay:g} s", style="bold")
        else:
            text.append("■ paused", style="bold")
        if waiting:
            text.append(f" · {one_line(waiting)}")
        if failure is not None:
            text.append(f" · ✗ {one_line(failure[0])}", style=f"bold {LOST}")
        if self.shelf is not None:
            text.append(f" · episode {self.shelf.numbers[self.place][0]}, {self.place + 1} of {len(self.shelf)}", "dim")
        self.status.update(text)

    # Running on.

    def _run_on(self) -> None:
        """Let the next step come after the delay, where it runs on by itself."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self.playing and any(episode.has_more for episode in self.episodes):
            self._timer = self.set_timer(self.delay, self._next)
        elif self.playing and all(episode.is_over or episode.failure for episode in self.episodes):
            self.playing = False
            self._tell()

    def _next(self) -> None:
        self._step_on(keep_playing=True)

    def _step_on(self, *, keep_playing: bool) -> None:
        """One step on in each episode: a stored one is shown, a live one asked for."""
        at_end = [episode for episode in self.episodes if episode.reading is not None and episode.reading.at_end]
        position = self._position
        if any(episode.reading is not None and not episode.reading.at_end for episode in self.episodes):
            position += 1
        for episode in at_end:
            if episode.acts and not episode.is_over and episode.reading and episode.reading.position <= position:
                episode.ask_agent()
        self._move_to(position, keep_playing=keep_playing)

    # Keys.

    def action_pause(self) -> None:
        self.playing = not self.playing
        if self.playing and all(episode.is_over for episode in self.episodes) and self._reading is not None:
            if all(episode.reading is None or episode.reading.at_end for episode in self.episodes):
                self._move_to(0, keep_playing=True)
        self._tell()
        self._run_on()

    def action_step(self, by: int) -> None:
        if by > 0:
            self.playing = False
            self._step_on(keep_playing=False)
        else:
            self._move_to(self._position + by)

    def action_faster(self) -> None:
        self.delay = max(_FASTEST, self.delay / 2)
        self._tell()
        self._run_on()

    def action_slower(self) -> None:
        self.delay = min(_SLOWEST, self.delay * 2)
        self._tell()
        self._run_on()

    def action_first(self) -> None:
        self._move_to(0)

    def action_last(self) -> None:
        self._move_to(max((episode.reading.length for episode in self.episodes if episode.reading), default=0))

    def action_fall(self) -> None:
        self._go_or_say(lambda reading: next_fall(reading.view, reading.position), "no step lost value")

    def action_refusal(self) -> None:
        self._go_or_say(lambda reading: next_of(refusals(reading.view), reading.position), "no action was refused")

    def _go_or_say(self, where: Any, nothing: str) -> None:
        positions = [where(episode.reading) for episode in self.episodes if episode.reading is not None]
        position = next((position for position in positions if position is not None), None)
        if position is None:
            self.notify(nothing)
        else:
            self._move_to(position)

    def action_failure(self, by: int) -> None:
        self._turn_over(by, marked=True)

    def action_episode(self, by: int) -> None:
        self._turn_over(by, marked=False)

    def _turn_over(self, by: int, *, marked: bool) -> None:
        if self.shelf is None and not marked and not self.episodes[0].is_stored:
            for episode in self.episodes:
                episode.ask_game(by)
            return
        if self.shelf is None:
            self.notify("this episode stands in no list; oreo browse BUFFER has one")
            return
        place = self.shelf.next(self.place, by, marked)
        if place is None:
            what = self.shelf.mark if marked else "episode"
            self.notify(f"no {what} {'behind' if by > 0 else 'before'} this one")
            return
        self.place = place
        for at, trajectory in enumerate(self.shelf.trajectories(place)):
            self.episodes[at].close()
            self.episodes[at] = self.episodes[at].of_another(trajectory)
            self._attend(self.episodes[at], self.panes[at])
        self._move_to(0)
        if self._wants_world:
            for episode in self.episodes:
                episode.ask_world()

    def action_search(self) -> None:
        self.playing = False
        self._hit = -1
        self.search.open(self.searched)

    def on_search_bar_typed(self, event: SearchBar.Typed) -> None:
        self.searched, self._hit = event.text, -1
        for episode, pane in zip(self.episodes, self.panes, strict=True):
            if episode.reading is not None:
                pane.show(episode.reading, self.searched)
        self._next_hit(1)

    def on_search_bar_entered(self, event: SearchBar.Entered) -> None:
        self._next_hit(event.by)

    def on_search_bar_left(self) -> None:
        self.search.close()
        self.panes[0].transcript.focus()

    def _next_hit(self, by: int) -> None:
        hits = [(pane, line) for pane in self.panes for line in pane.transcript.hits]
        if not hits:
            self.search.tell("nothing" if self.searched else "")
            return
        self._hit = (self._hit + by) % len(hits)
        self.search.tell(f"{self._hit + 1} of {len(hits)}")
        pane, line = hits[self._hit]
        self._move_to(pane.transcript.lines[line].position)
        pane.transcript.reveal_line(line)

    def action_tokens(self) -> None:
        shown = not self.panes[0].tokens.display
        for episode, pane in zip(self.episodes, self.panes, strict=True):
            pane.open(pane.tokens, shown)
            if shown and not episode.why_no_agent:
                episode.ask_tokens()

    def action_world(self) -> None:
        self._wants_world = not self._wants_world
        for episode, pane in zip(self.episodes, self.panes, strict=True):
            pane.open(pane.world, self._wants_world)
            if self._wants_world:
                episode.ask_world()
            self._show_world(episode, pane)

    def action_act(self) -> None:
        self.playing = False
        self._tell()
        episode = self.episodes[0]
        if episode.reading is None:
            return
        if why := episode.why_not_acting:
            self.notify(why, severity="warning", markup=False)
            return
        self.act_bar.open(episode.commands, episode.reading.position)

    def on_act_bar_acted(self, event: ActBar.Acted) -> None:
        self.episodes[0].ask_person(event.action)

    def on_act_bar_left(self) -> None:
        self.panes[0].transcript.focus()

    def action_agent(self) -> None:
        for episode in self.episodes:
            if why := episode.why_no_agent:
                self.notify(why, severity="warning", markup=False)
                return
        for episode in self.episodes:
            episode.ask_agent()
        self.playing = True
        self._tell()

    def action_copy(self) -> None:
        if self._reading is not None:
            self.app.copy_to_clipboard(step_text(self._reading.view, self._reading.position))
            self.notify(f"step {self._reading.position} is copied")

    def action_export(self) -> None:
        if self._reading is not None:
            self.app.push_screen(ExportScreen(self._reading.view, self.episodes[0].trajectory))

    def action_log(self) -> None:
        self.app.push_screen(LogScreen("".join(episode.log for episode in self.episodes)))

    def action_back(self) -> None:
        if len(self.app.screen_stack) > 2:
            self.dismiss()
        else:
            self.notify("this is where it began; q leaves")

    def action_help(self) -> None:
        self.app.push_screen(HelpScreen("keys", EPISODE))

    # The mouse.

    def on_transcript_pane_chosen(self, event: TranscriptPane.Chosen) -> None:
        self._move_to(event.position)

    def on_value_line_chosen(self, event: ValueLine.Chosen) -> None:
        self._move_to(event.position)


def stored_episode(trajectory: Any, **settings: Any) -> LiveEpisode:
    """A stored episode to read, which acts only when it is asked to."""
    return LiveEpisode(reading=whole(trajectory), trajectory=trajectory, **settings)
