"""The planner: an expert that sees everything and needs the fewest commands possible.

    simulator.reset(game)
    shortest_plan(simulator)      # ["go to desk 1", "take mug 2 from desk 1", …]

It searches (A*) on the simulator's own states, from wherever the game stands. No plan is shorter, because

- the search goes by a bound that never exceeds what is still needed (heuristic.py). For a goal that is none of
  ALFWorld's six the bound is 0, which makes it a breadth-first search: right as well, but it may give up.
- The commands it leaves out help no plan: those that change nothing that the goal asks for or another command needs
  (looking, closing, …); all but one of the journeys to the same location; and taking an object that the goal is not
  about, since a plan stays one when everything done to that object is left out.

Among shortest plans it likes acting better than going, and then goes by names and numbers, so the same state gets the
same plan everywhere.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from itertools import count
from math import inf
from typing import Any, NamedTuple

from oreo.envs.alfworld.engines.engine import Engine
from oreo.envs.alfworld.engines.loaded_game import LoadedGame, Move
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.engines.world import FLAGS, State
from oreo.envs.alfworld.experts.heuristic import Bound, Heuristic
from oreo.envs.alfworld.experts.task_goals import read_goal
from oreo.errors import UsageError

MOST_STATES = 20_000
"""For ALFWorld's goals a plan takes some dozens of states. For others this many are two seconds of search."""

_ENABLING = frozenset(("gotolocation", "openobject", "pickupobject", "putobject"))
"""The actions that make others possible."""


def shortest_plan(simulator: Simulator, most_states: int = MOST_STATES) -> list[str] | None:
    """The commands of a shortest plan from where the game stands; the game stays as it is.

    Returns an empty list where the goal holds already, None where nothing leads to it.
    Raises UsageError when the search has not ended after `most_states` states, or when no game is being played.
    """
    game, state, _ = simulator.snapshot()
    if game is None:
        raise UsageError("no game is being played: call reset(game) first")
    return _Search(game).plan(state, most_states)


class Planner:
    """One episode's expert. `action` is the next command of a shortest plan from here, "look" where there is none.

        planner = Planner(simulator)
        while not simulator.won:
            command = planner.action
            planner.observe(command, simulator.step(command), simulator.admissible_commands(), simulator)

    It searches when it is asked, and again only after a command that was not its own.

    Args:
        engine: what plays the game; planning does not change it.
    Raises:
        UsageError: the engine is the original, whose states cannot be searched.
    """

    def __init__(self, engine: Engine) -> None:
        self._now = _snapshot(engine)
        self._plan: list[str] | None = None
        self._given_up = False

    @property
    def action(self) -> str:
        if self._plan is None:
            simulator = Simulator()
            simulator.restore(self._now)
            try:
                self._plan = shortest_plan(simulator) or []
            except UsageError:  # it would take as long again at every step
                self._plan, self._given_up = [], True
        return self._plan[0] if self._plan else "look"

    def observe(self, command: str, feedback: str, admissible: list[str], engine: Engine) -> None:
        """Tell it what was done. Needed after every step, whoever chose the command."""
        self._now = _snapshot(engine)
        if self._given_up or not engine.valid:  # a refused command changes nothing
            return
        own = self._plan and command.strip() == self._plan[0]
        self._plan = self._plan[1:] if self._plan and own else None

    def copy(self) -> Planner:
        """Return an expert that goes on from here by itself."""
        other = Planner.__new__(Planner)
        other._now, other._plan, other._given_up = self._now, self._plan, self._given_up  # none is changed in place
        return other


def _snapshot(engine: Engine) -> Any:
    if not isinstance(engine, Simulator):
        raise UsageError("the planner searches the simulator's states: it needs engine='simulator'")
    return engine.snapshot()


class _Node(NamedTuple):
    """A state to look at. First comes the one with the lowest bound, of these the furthest, of these the oldest."""

    bound: float
    """How long a plan is at least that begins with `path`."""
    minus_length: int
    """… of `path`."""
    order: int
    before: State
    """Where the last command of `path` is given. (Most nodes are never looked at, so the state after it can wait.)"""
    path: tuple[tuple[str, Move], ...]
    remaining: Bound
    """For the state after `path`."""


class _Search:
    def __init__(self, game: LoadedGame) -> None:
        self._game = game
        self._heuristic = Heuristic(game.world, read_goal(game.goal))
        self._useful = _ENABLING | game.may_decide
        journeys: dict[str, tuple[str, Move]] = {}
        for journey in sorted(game.journeys.items(), key=_by_number):
            journeys.setdefault(journey[1].bound["lend"], journey)
        self._journeys = list(journeys.values())

    def plan(self, start: State, most_states: int) -> list[str] | None:
        game, order = self._game, count(1)
        remaining = self._heuristic.bound(start)
        queue = [_Node(remaining.at(start.at), 0, 0, start, (), remaining)]
        fewest: dict[Any, int] = {}  # state -> commands that lead there
        while queue and queue[0].bound < inf:
            node = heapq.heappop(queue)
            state = game.after(node.before, node.path[-1][1]) if node.path else start
            if game.goal_holds(state):
                return self._commands(node.path)
            key = _key(state)
            if fewest.get(key, inf) <= len(node.path):
                continue
            if len(fewest) >= most_states:
                raise UsageError(f"no plan found among {most_states} states: give a larger most_states, or do without")
            fewest[key] = len(node.path)
            length = len(node.path) + 1
            for step, remaining, location in self._steps(state, node.remaining):
                bound = length + remaining.at(location)
                heapq.heappush(queue, _Node(bound, -length, next(order), state, (*node.path, step), remaining))
        return None

    def _steps(self, state: State, remaining: Bound) -> Iterator[tuple[tuple[str, Move], Bound, str]]:
        """Return what is worth doing in a state, the bound after it, and where the agent stands then."""
        for step in sorted(self._game.local(state).items(), key=_by_number):
            move = step[1]
            if move.action in self._useful and (
                move.action != "pickupobject" or move.bound["o"] in self._heuristic.things
            ):
                yield step, self._heuristic.bound(self._game.after(state, move)), state.at
        for step in self._journeys:
            location = step[1].bound["lend"]
            if location != state.at:
                yield step, remaining, location

    def _commands(self, path: Sequence[tuple[str, Move]]) -> list[str]:
        """The commands. A journey names the receptacle that is used next, not another at the same location."""
        commands = [command for command, _ in path]
        for position, (_, move) in enumerate(path[1:]):
            if path[position][1].action == "gotolocation" and "r" in move.bound:
                commands[position], _ = self._game.move("gotolocation", move.bound["r"])
        return commands


def _key(state: State) -> Any:
    """Return one key for states in which the same commands lead to the same. (`negated` concerns the texts only.)"""
    flags = [getattr(state, name) for name in FLAGS.values()]
    return state.at, state.held, frozenset(state.inside.items()), frozenset(state.present.items()), *flags


def _by_number(step: tuple[str, Move]) -> list[tuple[str, int]]:
    """Return a key that sorts "drawer 2" before "drawer 10"."""
    return [(word, 0) if not word.isdecimal() else ("", int(word)) for word in step[0].split()]
