"""Where the environment is played for the checks: every call of it goes through here, and is looked at.

What is wrong with a single call (an exception, a wrong type, a hang, something printed, …) is noted here, once,
whichever check played; the checks compare what was played. An episode that failed is a trace that ends early.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from oreo.envs import plain_values
from oreo.envs.checking.report import Finding
from oreo.envs.checking.subject import Subject, TextEnvironment
from oreo.envs.checking.surroundings import Output, random_state, seed_global
from oreo.envs.deadline import can_interrupt, deadline
from oreo.envs.draws import Draws
from oreo.envs.inner_resets import watch_resets
from oreo.envs.text_env import step_limit
from oreo.envs.text_space import CAPACITY
from oreo.errors import EngineError, OreoError, UsageError
from oreo.plugins import reason

LONGEST = 30
"""Steps of an episode that is played to be compared."""
NO_EXPERT = "no expert"
"""The key of what is no fault: an environment that says it has no expert of this game."""
_SHOWN = 60
"""Characters of a text that a finding shows."""
_STEERING = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]|\r(?!\n)")
"""Controls that move the cursor, colour, ring or turn the direction of text around; tabs and newlines do no harm."""
_INFO_TEXTS = ("task", "task_type", "game", "dialect", "grade")


@dataclass(frozen=True)
class Turn:
    """What a reset or a step gave."""

    observation: str
    reward: float = 0.0
    terminated: bool = False
    truncated: bool = field(default=False, compare=False)  # by the step limit, which snapshots do not take back
    won: bool | None = None
    commands: tuple[str, ...] | None = None
    valid: bool | None = None
    game: str = ""
    task: str = ""
    task_type: str = ""


@dataclass
class Trace:
    """An episode as it was played."""

    seed: int
    actions: list[str] = field(default_factory=list)
    """Those that were answered."""
    turns: list[Turn] = field(default_factory=list)
    """One more than actions: the first is the reset's. Empty where that failed."""
    failed: str = ""
    """The key of what ended it, "" where nothing did."""

    @property
    def over(self) -> bool:
        return bool(self.turns) and (self.turns[-1].terminated or self.turns[-1].truncated)

    @property
    def won(self) -> bool:
        """As trajectories have it."""
        if not self.turns:
            return False
        won = self.turns[-1].won
        return self.turns[-1].terminated and self.total > 0 if won is None else won

    @property
    def total(self) -> float:
        return sum(turn.reward for turn in self.turns)

    def steps(self, count: int | None = None) -> tuple[str, ...]:
        """The calls up to the answer of that number, for a finding."""
        return shown_steps(self.seed, self.actions[: len(self.actions) if count is None else count])


class Fault(Exception):
    """A call of the environment that cannot be gone on from. It is noted; `key` tells it from others."""

    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class Bench:
    """Makes, resets and steps environments.

    Args:
        patience: seconds that one call may take.
        actions: texts that an agent might say where the environment lists no commands.
    """

    def __init__(self, subject: Subject, output: Output, *, patience: float, actions: Sequence[str]) -> None:
        self.subject, self.output, self.patience = subject, output, patience
        self.findings: dict[str, Finding] = {}
        """By their key."""
        self.given_actions = tuple(actions)
        self.words: Sequence[str] = self.given_actions or ("look", "1")
        """What is said where no commands are listed."""
        self.first: list[Trace] = []
        """One episode for each seed, each in an environment of its own."""
        self.expert_wins: list[Trace] = []
        """Episodes that the environment's expert has won."""
        self.longest = LONGEST
        """Steps of an episode that is played to be compared; fewer where they take long."""
        self.ignored: set[str] = set()
        """Fields of turns that are not compared any more: what is wrong with them is noted already."""
        self._late: set[str] = set()
        """Actions that took too long once."""
        self._shrinking = False
        self._shrunk: set[str] = set()
        self._open: list[TextEnvironment] = []

    # What is noted.

    def note(self, check: str, what: str, steps: Sequence[str], fix: str, key: str = "") -> None:
        """Note a finding, the first of its key."""
        self.findings.setdefault(key or f"{check}: {what}", Finding(check, what, tuple(steps), fix))

    # The environment's calls.

    def new(self) -> TextEnvironment:
        env = self.call("making it", ("make",), self.subject.make)
        self._open.append(env)
        return env

    def close(self, env: TextEnvironment) -> None:
        self._open = [other for other in self._open if other is not env]
        try:
            self.call("close", ("close()",), env.close)
        except Fault:
            pass

    def close_all(self) -> None:
        for env in list(self._open):
            self.close(env)

    def reset(self, env: TextEnvironment, seed: int, options: Mapping[str, Any] | None = None) -> Turn:
        seed_global(seed)
        steps = shown_steps(seed, (), options)
        given = dict(options) if options else None
        returned = self.call("reset", steps, lambda: env.reset(seed=seed, options=given))
        return self._turn(returned, steps, "reset")

    def step(self, env: TextEnvironment, action: str, before: Trace) -> Turn:
        steps = (*before.steps(), shown_action(action))

        def inner(name: str) -> None:
            self.note(
                "endings",
                f"step calls the environment's own {name}: an episode that begins by itself is stored as the end of "
                "the one before",
                steps,
                "return done=True (terminated) at the end of an episode; whoever plays calls reset",
            )

        with watch_resets(env, inner):
            returned = self.call("step", steps, lambda: env.step(action))
        return self._turn(returned, steps, "step")

    def expert_action(self, env: TextEnvironment, before: Trace) -> str:
        from oreo.envs.text_env import ask_expert

        return str(self.call("expert_action", (*before.steps(), "expert_action()"), lambda: ask_expert(env)))

    def call(self, method: str, steps: Sequence[str], call: Callable[[], Any]) -> Any:
        """Call something of the environment's, and look at what it did besides. Raises `Fault`."""
        before = random_state()
        self.output.new()
        try:
            with deadline(self.patience if can_interrupt() else None, method):
                return call()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            if method == "expert_action" and isinstance(error, UsageError):
                raise Fault(NO_EXPERT) from error
            raise self._fault(method, steps, error) from error
        finally:
            self._look_around(method, steps, before)

    def _fault(self, method: str, steps: Sequence[str], error: BaseException) -> Fault:
        late = isinstance(error, EngineError) and "took longer than" in str(error)
        what = str(error) if isinstance(error, OreoError) else f"{method} raises {reason(error)}"
        key = "late" if late else re.sub(r"'[^']*'|\"[^\"]*\"|\d+", "", what)
        if late:
            fix = "bound what it waits for and computes, or allow it more time (--step-timeout)"
        elif method == "step":
            fix = "answer any text an agent may write, with an observation that says what is wrong with it"
        else:
            fix = "mend it where the message says"
        if late:  # once is enough: every other call that hangs would cost as much again
            self.patience = min(self.patience, max(0.2, self.patience / 10))
        self.note("time" if late else "contract", what, steps, fix, key)
        return Fault(key)

    def _look_around(self, method: str, steps: Sequence[str], before: dict[str, Any]) -> None:
        after = random_state()
        for library in before:
            if before[library] != after[library]:
                self.note(
                    "globals",
                    f"{method} draws from, or seeds, the global generator of {library}",
                    steps,
                    "draw from the generator that start(rng) is given (self.np_random elsewhere)",
                    f"globals {library}",
                )
        if printed := self.output.new():
            self.note(
                "output",
                f"{method} prints to standard output: {shown(printed)}",
                steps,
                "print nothing, or to standard error: standard output is for results",
                "output",
            )

    def _turn(self, returned: Any, steps: Sequence[str], method: str) -> Turn:
        """What a call returned, looked at."""
        try:
            turn = _read(returned, method)
        except ValueError as error:
            what = f"{method}: {error}"
            self.note("contract", what, steps, "return what the contract asks for (oreo.envs.TextEnv)", what)
            raise Fault(what) from None
        self._look_at_texts(turn, steps)
        if turn.commands is not None and not turn.commands and not turn.terminated:
            self.note(
                "commands",
                "no command is admissible, and the episode goes on",
                steps,
                "end the episode, list what can be said, or leave admissible_commands out",
                "commands: none",
            )
        return turn

    def _look_at_texts(self, turn: Turn, steps: Sequence[str]) -> None:
        texts = {"observation": turn.observation, "command": "\0".join(turn.commands or ())}
        texts |= {"task": turn.task, "task type": turn.task_type, "name of the game": turn.game}
        for name, text in texts.items():
            steering = _STEERING.search(text.replace("\0", "") if name == "command" else text)
            if steering:
                self.note(
                    "text",
                    f"the {name} holds the control character {steering.group()!r}, which steers terminals",
                    steps,
                    "leave colours and cursor movements out of texts",
                    "text steers",
                )
        size = len(turn.observation.encode())
        if size > CAPACITY - 4:
            self.note(
                "size",
                f"an observation of {size:,} bytes; vector environments have room for {CAPACITY - 4:,}, most models "
                "for less",
                steps,
                "say what changed, and let the agent ask for more",
                "size",
            )

    # Episodes.

    def play(
        self,
        seed: int,
        *,
        env: TextEnvironment | None = None,
        actions: Sequence[str] | None = None,
        stream: int = 0,
        most: int | None = None,
    ) -> Trace:
        """Play an episode; what the environment does wrong ends it.

        Args:
            env: None: a new one, which is closed again.
            actions: what is said; None: drawn commands, or words.
            stream: other draws for another number.
            most: steps, where none are given; None: `longest`.
        """
        trace = Trace(seed)
        own = env is None
        try:
            played = self.new() if env is None else env
            try:
                trace.turns.append(self.reset(played, seed))
                self.go_on(trace, played, actions, stream, most)
            finally:
                if own:
                    self.close(played)
        except Fault as fault:
            trace.failed = fault.key
        self._look_for_refusals(trace)
        return trace

    def go_on(
        self,
        trace: Trace,
        env: TextEnvironment,
        actions: Sequence[str] | None = None,
        stream: int = 0,
        most: int | None = None,
    ) -> None:
        """Play on from where a trace stands, as `play`. Raises `Fault`."""
        draws = Draws(trace.seed, stream)
        count = (self.longest if most is None else most) if actions is None else len(actions)
        for number in range(count):
            if trace.over:
                return
            action = self._choose(draws, trace.turns[-1]) if actions is None else actions[number]
            try:
                turn = self.step(env, action, trace)
            except Fault as fault:
                if self.findings.get(fault.key) and self.findings[fault.key].check == "time":
                    self._late.add(action)
                else:
                    self._shrink(trace, action, fault.key)
                raise
            trace.actions.append(action)
            trace.turns.append(turn)

    def _look_for_refusals(self, trace: Trace) -> None:
        """Note a command that was listed and then refused, in an episode that nothing else has disturbed."""
        for number, action in enumerate(trace.actions):
            if trace.turns[number + 1].valid is False and action in (trace.turns[number].commands or ()):
                self.note(
                    "commands",
                    f"the admissible command {shown(action)} is refused (action_valid is False)",
                    trace.steps(number + 1),
                    "list what is accepted now, and only that",
                    "commands: refused",
                )

    def _choose(self, draws: Draws, turn: Turn) -> str:
        if commands := [command for command in turn.commands or () if command not in self._late]:
            return draws.choice(commands)
        near = turn.observation.split()[:12] if not self.given_actions and draws.uniform() < 0.2 else ()
        return draws.choice(near or self.words)

    def expert_trace(self, seed: int, most: int) -> Trace:
        """An episode of the environment's expert."""
        trace = Trace(seed)
        try:
            env = self.new()
            try:
                trace.turns.append(self.reset(env, seed))
                while not trace.over and len(trace.actions) < most:
                    action = self.expert_action(env, trace)
                    turn = self.step(env, action, trace)
                    trace.actions.append(action)
                    trace.turns.append(turn)
            finally:
                self.close(env)
        except Fault as fault:
            trace.failed = fault.key
        return trace

    def limit(self, env: TextEnvironment) -> int | None:
        return step_limit(env)

    # Comparing.

    def difference(self, one: Trace, other: Trace) -> int | None:
        """The number of the first turn in which two traces differ; None where they do not."""
        for number, (turn, other_turn) in enumerate(zip(one.turns, other.turns, strict=False)):
            if self._differing_fields(turn, other_turn):
                return number
        same = len(one.turns) == len(other.turns) and one.failed == other.failed
        return None if same else min(len(one.turns), len(other.turns))

    def differing(self, one: Trace, other: Trace, number: int) -> str:
        """What differs in a turn, for a finding: `observation 'a door', then 'no door'`."""
        if number >= min(len(one.turns), len(other.turns)):
            return "one goes on, the other ends"
        name = self._differing_fields(one.turns[number], other.turns[number])[0]
        return f"{name} {shown(getattr(one.turns[number], name))}, then {shown(getattr(other.turns[number], name))}"

    def _differing_fields(self, one: Turn, other: Turn) -> list[str]:
        names = [entry.name for entry in fields(Turn) if entry.compare and entry.name not in self.ignored]
        return [name for name in names if getattr(one, name) != getattr(other, name)]

    def _shrink(self, trace: Trace, last: str, key: str) -> None:
        """Look for fewer steps that fail alike, and put them into the finding."""
        if self._shrinking or key not in self.findings or key in self._shrunk:
            return
        self._shrunk.add(key)
        self._shrinking = True
        until = time.monotonic() + 5.0
        try:
            actions = [*trace.actions, last]
            best = self._shorter(trace.seed, actions, key, until)
            finding = self.findings[key]
            if len(best) < len(actions):
                steps = shown_steps(trace.seed, best)
                self.findings[key] = Finding(finding.check, finding.what, steps, finding.fix)
        finally:
            self._shrinking = False

    def _shorter(self, seed: int, actions: list[str], key: str, until: float) -> list[str]:
        if self.play(seed, actions=actions[-1:]).failed == key:
            return actions[-1:]
        position = 0
        while position < len(actions) - 1 and time.monotonic() < until:
            fewer = actions[:position] + actions[position + 1 :]
            if self.play(seed, actions=fewer).failed == key:
                actions = fewer
            else:
                position += 1
        return actions


def _read(returned: Any, method: str) -> Turn:
    """A turn of what `reset` or `step` returned.

    Raises:
        ValueError: it is not what gymnasium and `oreo.envs.TextEnv` promise.
    """
    names = (
        ("observation", "info")
        if method == "reset"
        else (
            "observation",
            "reward",
            "terminated",
            "truncated",
            "info",
        )
    )
    if not isinstance(returned, tuple) or len(returned) != len(names):
        got = f"{len(returned)} values" if isinstance(returned, tuple | list) else type(returned).__name__
        raise ValueError(f"expected ({', '.join(names)}), got {got}")
    values = dict(zip(names, returned, strict=True))
    given = values["info"]
    if not isinstance(given, Mapping):
        raise ValueError(f"info is a dict, got {type(given).__name__}")
    info = plain_values.info({key: value for key, value in given.items() if key != "won"})
    for name in _INFO_TEXTS:
        if info.get(name) is not None:
            plain_values.text(info[name], f"info[{name!r}]")
    won = given.get("won")
    commands = info.get("admissible_commands")
    return Turn(
        observation=plain_values.text(values["observation"], "an observation"),
        reward=plain_values.reward(values.get("reward", 0.0)),
        terminated=plain_values.boolean(values.get("terminated", False), "terminated"),
        truncated=plain_values.boolean(values.get("truncated", False), "truncated"),
        won=None if won is None else plain_values.boolean(won, "info['won']"),
        commands=None if commands is None else tuple(commands),
        valid=info.get("action_valid"),
        game=info.get("game") or "",
        task=info.get("task") or "",
        task_type=info.get("task_type") or "",
    )


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def shown_action(action: str) -> str:
    return f"step({shown(action)})"


def shown_steps(seed: int, actions: Sequence[str], options: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    told = f", options={dict(options)!r}" if options else ""
    return (f"reset(seed={seed}{told})", *map(shown_action, actions))
