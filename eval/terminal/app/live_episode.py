"""An episode on the screen, and the process that acts in it where that is asked for. It draws nothing.

A stored episode has no process until it is taken over or its world is to be shown; then the process plays it again to
the step that is shown, and what comes next is a new episode.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from oreo.errors import OreoError, UsageError
from oreo.eval.terminal.live.link import Link
from oreo.eval.terminal.live.messages import Job, step_from_json, step_to_json
from oreo.eval.terminal.live.turn_reading import TurnRead
from oreo.eval.terminal.reading import Reading
from oreo.eval.terminal.screen import View
from oreo.eval.terminal.tokens import Token
from oreo.trajectory import Trajectory

_MOST_LOG = 1 << 20
"""Characters of what agent and environment print; the last ones are kept."""
_NO_AGENT = "nobody is there to go on: name an agent with --agent"


class LiveEpisode:
    """What is known of an episode, and requests about it, one at a time."""

    def __init__(
        self,
        *,
        job: Callable[[Trajectory | None], Job],
        reading: Reading | None = None,
        trajectory: Trajectory | None = None,
    ) -> None:
        """Args:
        job: what the process is to play, of the stored episode where there is one; raises OreoError if that is refused.
        reading: a stored episode; None: one that begins when the process is there.
        trajectory: the same as it is stored.
        """
        self._make_job = job
        self.reading, self.trajectory = reading, trajectory
        self.waiting_for = ""
        """What is being waited for, in words."""
        self.failure: tuple[str, int] | None = None
        """What went wrong last, and the exit code that it is worth."""
        self.log = ""
        self.turns: list[TurnRead] = []
        """The turns as the agent's models read them, where that was asked for."""
        self.on_change: Callable[[], object] = lambda: None
        self.on_trouble: Callable[[str], object] = lambda message: None
        self.on_news: Callable[[str], object] = lambda message: None
        self._stored = trajectory
        self._game = 0
        self._link: Link | None = None
        self._queue: list[dict[str, Any]] = []
        self._process_at: int | None = None
        """Steps that the process has taken."""
        self._commands: list[str] = []
        self._worlds: dict[int, Any] = {}
        self._world_asked = False

    def of_another(self, trajectory: Trajectory) -> LiveEpisode:
        """Another stored episode, to be read under the same conditions."""
        from oreo.eval.terminal.shelf import whole

        return LiveEpisode(job=self._make_job, reading=whole(trajectory), trajectory=trajectory)

    # What is known.

    @property
    def is_over(self) -> bool:
        return self.reading is not None and bool(self.reading.view.outcome)

    @property
    def is_stored(self) -> bool:
        """Whether it was there before it was played here."""
        return self._stored is not None

    @property
    def is_busy(self) -> bool:
        return bool(self._queue)

    @property
    def has_more(self) -> bool:
        """Whether a next step can be shown, or asked for now."""
        if self.reading is None or self.is_busy:
            return False
        return not self.reading.at_end or (self.acts and not self.is_over and self.failure is None)

    @property
    def acts(self) -> bool:
        """Whether an agent goes on at the end."""
        return not self.why_no_agent

    @property
    def why_no_agent(self) -> str:
        """Why an agent cannot go on; empty where one can."""
        return self.why_not_acting or ("" if self._job().agent is not None else _NO_AGENT)

    @property
    def why_not_acting(self) -> str:
        """Why nobody can act in it; empty where somebody can."""
        try:
            self._job()
        except OreoError as error:
            return str(error)
        return ""

    @property
    def commands(self) -> Sequence[str]:
        """What the environment would accept after the step shown, as far as it says."""
        if self.reading is None:
            return ()
        if self.reading.at_end:
            return self._commands
        return self.reading.view.steps[self.reading.position].admissible_commands or ()

    def world(self, position: int) -> Any:
        """What the environment's state() said at a position; None: nothing."""
        return self._worlds.get(position)

    @property
    def why_no_world(self) -> str:
        if self.is_busy:
            return "the world is being asked for …"
        return self.why_not_acting or "this environment does not show its world (it has no state())"

    # What can be asked for.

    async def begin(self) -> None:
        """Start the process and the episode."""
        self._ask({"do": "begin"})

    def ask_game(self, by: int) -> None:
        """Begin another game of the seed, the next or the one before."""
        if self.is_busy or self._game + by < 0:
            return
        self._game += by
        self.reading, self.trajectory = None, None
        self._ask({"do": "begin", "episode": self._game})

    def ask_agent(self) -> None:
        """Let the agent take a step from where one stands."""
        self._act({"do": "agent"})

    def ask_person(self, action: str) -> None:
        """Take a person's step from where one stands."""
        self._act({"do": "person", "action": action})

    def ask_world(self) -> None:
        """Have the world at every step, of an episode that the process has not played."""
        if self.reading is None or self._world_asked or self._worlds or self.why_not_acting:
            return
        self._world_asked = True
        self._ask(self._begin_at(self.reading.length))

    def ask_tokens(self) -> None:
        """Have the agent's models read every turn of the episode token by token."""
        if self.reading is None or self.is_busy or self.why_no_agent or len(self.turns) == self.reading.length:
            return
        if self._process_at != self.reading.length:
            self._ask(self._begin_at(self.reading.length))
        self._ask({"do": "read"})

    def _act(self, request: dict[str, Any]) -> None:
        if self.reading is None or self.is_busy:
            return
        if self._process_at != self.reading.position:
            self._ask(self._begin_at(self.reading.position))
        self._ask(request)

    def _begin_at(self, position: int) -> dict[str, Any]:
        assert self.reading is not None
        return {"do": "begin", "steps": [step_to_json(step) for step in self.reading.view.steps[:position]]}

    def close(self) -> None:
        """End the process."""
        if self._link is not None:
            self._link.close()
        self._link = None
        self.on_change = lambda: None
        self.on_trouble = self.on_news = lambda message: None

    async def closed(self) -> None:
        """End the process and wait until it has."""
        link = self._link
        self.close()
        if link is not None:
            await link.closed()

    # The process.

    def _job(self) -> Job:
        return self._make_job(self._stored)

    def _ask(self, request: dict[str, Any]) -> None:
        """Send a request when those before it are answered."""
        self._queue.append(request)
        self.failure = None
        if len(self._queue) == 1:
            self._send()

    def _send(self) -> None:
        if self._link is None:
            try:
                job = self._job()
            except OreoError as error:
                return self._fail(str(error), error.exit_code)
            self._link = Link(job, self._receive)
            self._process_at = None
            self.waiting_for = "starting a process for agent and environment"
            self._starting = asyncio.create_task(self._link.start())  # it sends the job; the rest when that is ready
        else:
            self.waiting_for = _WAITING.get(self._queue[0]["do"], "")
            self._link.ask(self._queue[0])
        self.on_change()

    def _receive(self, message: dict[str, Any]) -> None:
        kind = message.get("is")
        if kind == "log":
            self.log = (self.log + str(message["text"]))[-_MOST_LOG:]
            return
        if kind == "loading":
            self.waiting_for = f"{message['what']} …"
        elif kind == "ready":
            return self._send()
        elif kind == "died":
            self._link, self._process_at = None, None
            return self._fail(str(message["message"]), 1)
        elif kind == "failed":
            if not message["opened"] and self._link is not None:
                self._link.close()
                self._link = None
            self._process_at = None
            return self._fail(str(message["message"]), int(message["code"]))
        else:
            self._take(message)
            self._queue = self._queue[1:]
            self.waiting_for = ""
            if self._queue:
                return self._send()
        self.on_change()

    def _fail(self, message: str, code: int) -> None:
        self._queue, self.waiting_for, self.failure = [], "", (message, code)
        self.on_trouble(message)
        self.on_change()

    def _take(self, message: dict[str, Any]) -> None:
        kind = message["is"]
        if kind == "read":
            return self._take_turns(message["turns"])
        if kind == "state":
            self._take_state(message)
        elif kind == "stepped":
            assert self.reading is not None
            steps = (*self.reading.view.steps[: self._process_at], step_from_json(message["step"]))
            self.reading = self.reading.at(len(steps) - 1).grown(_view(message, steps)).at(len(steps))
            self._worlds[len(steps)] = message["world"]
            self._note_end(message)
        else:
            raise UsageError(f"the process answered {kind!r}")
        self._commands = list(message["commands"])
        self._process_at = len(self.reading.view.steps) if kind == "stepped" and self.reading else self._process_at

    def _take_state(self, message: dict[str, Any]) -> None:
        """The episode was reset, or set back."""
        steps = tuple(step_from_json(step) for step in message["steps"])
        self._process_at = len(steps)
        self._worlds = dict(enumerate(message["worlds"] or ()))
        if self.reading is None or len(steps) != self.reading.length:
            self.reading = Reading(_view(message, steps), len(steps))
            self.turns = []
        if message["differs"] is not None:
            self.on_trouble(
                f"played again, the world answers otherwise from step {message['differs']} on than it is stored"
            )

    def _take_turns(self, turns: list[dict[str, Any]]) -> None:
        """What the models say of each turn. Where no value is stored, theirs is shown."""
        assert self.reading is not None
        self.turns = [TurnRead(**{**turn, "tokens": tuple(Token(**one) for one in turn["tokens"])}) for turn in turns]
        view = self.reading.view
        steps = tuple(
            replace(step, value=turn.value) if step.value is None else step
            for step, turn in zip(view.steps, self.turns, strict=True)
        )
        self.reading = replace(self.reading, view=replace(view, steps=steps))

    def _note_end(self, message: dict[str, Any]) -> None:
        from oreo.data.records import checked_record, from_record

        if message["record"] is not None:
            self.trajectory = from_record(checked_record(message["record"]))
        if message["recorded"]:
            self.on_news(f"stored in {message['recorded']}")


_WAITING = {
    "begin": "the game is set up …",
    "agent": "the agent thinks …",
    "person": "the world answers …",
    "read": "the models read the turns …",
}


def _view(message: dict[str, Any], steps: tuple[Any, ...]) -> View:
    names = ("env_id", "agent", "observation", "task", "task_type", "game", "length", "outcome", "cut_off")
    return View(steps=steps, **{name: message[name] for name in names})
