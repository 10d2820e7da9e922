"""A loaded game and what can be done in it: which commands are admissible in a state, and where they lead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from oreo.envs.alfworld.engines.effects import EFFECTS
from oreo.envs.alfworld.engines.goal import compile_goal
from oreo.envs.alfworld.engines.pddl import Fact, parse_problem
from oreo.envs.alfworld.engines.queries import Bound
from oreo.envs.alfworld.engines.rules import ACTIONS, known_rules
from oreo.envs.alfworld.engines.wording import Wording, read_wording
from oreo.envs.alfworld.engines.world import NONE, State, World
from oreo.envs.alfworld.errors import UnknownGameLogic

MOST_REMEMBERED = 10_000
"""Lists of commands kept for one game. An episode meets some dozens of them, a long search any number."""


@dataclass(frozen=True)
class Move:
    """An action with its arguments."""

    action: str
    bound: Bound


class LoadedGame:
    """A world with its wording and its goal, and the commands met so far."""

    def __init__(self, domain: str, grammar: str, problem: str) -> None:
        rules = known_rules(domain)
        parsed = parse_problem(problem)
        self.wording: Wording
        self.wording, task = read_wording(grammar, rules.actions)
        self.world = World(parsed, rules, task)
        self.goal = parsed.goal
        """The formula itself, for who wants to know more than whether it holds."""
        goal = compile_goal(parsed.goal, self.world)
        self.goal_holds: Callable[[State], bool] = goal.holds
        self.may_decide = frozenset(name for name, action in ACTIONS.items() if action.changes & goal.changed_by)
        """The actions after which the goal has to be looked at again."""
        self.start = self.world.initial_state()
        self.intro = self.wording.intro(self.world, self.start, {})
        self._moves: dict[Fact, tuple[str, Move]] = {}
        self._remembered: dict[tuple[Any, ...], list[tuple[str, Move]]] = {}
        self.journeys: dict[str, Move] = {}
        """Every "go to …"."""
        for receptacle in sorted(self.world.location):
            text, move = self.move("gotolocation", receptacle)
            if self.journeys.setdefault(text, move) is not move:
                raise UnknownGameLogic("commands for different places that read the same")
        self._elsewhere: dict[str, list[str]] = {}

    def move(self, action: str, *things: str) -> tuple[str, Move]:
        """The command of an action, and the action with its arguments."""
        key = (action, *things)
        command = self._moves.get(key)
        if command is None:
            bound = self._arguments(action, things)
            text = self.wording.commands[action](self.world, self.start, bound)
            command = self._moves[key] = (text, Move(action, bound))
        return command

    def _arguments(self, action: str, things: tuple[str, ...]) -> Bound:
        """Names for the things, as the domain has them; `l` is the agent's location."""
        world = self.world
        bound = {"a": world.agent}
        if action == "gotolocation":
            (receptacle,) = things
            return bound | {"r": receptacle, "lend": world.location[receptacle]}
        if action in ("look", "sliceobject"):
            return bound | dict(zip(("l", "co", "ko"), things, strict=False))
        if action == "examineobject":
            return bound | {"o": things[0]}
        if things:
            bound |= {"r": things[0], "l": world.location[things[0]]}
        if len(things) > 1:
            bound["o"] = things[1]
        if action == "putobject":
            bound |= {"ot": world.object_type[things[1]], "rt": world.receptacle_type[things[0]]}
        if action == "examinereceptacle":
            del bound["l"]
        return bound

    def elsewhere(self, location: str) -> list[str]:
        """The commands that lead away from a location, sorted."""
        commands = self._elsewhere.get(location)
        if commands is None:
            commands = sorted(text for text, move in self.journeys.items() if move.bound["lend"] != location)
            self._elsewhere[location] = commands
        return commands

    def local(self, state: State) -> dict[str, Move]:
        """The commands that do something here, with what they do."""
        if state.commands is None:
            location, held = state.at, state.held
            commands = dict(self._remember(self._anywhere, location, held, state.present.get(location, NONE)))
            for place in self.world.receptacles.get(location, NONE):
                things, is_open = state.inside.get(place, NONE), place in state.opened
                commands.update(self._remember(self._at_place, place, held, things, is_open))
            state.commands = commands
        return state.commands

    def _remember(self, work: Callable[..., list[tuple[str, Move]]], *key: Any) -> list[tuple[str, Move]]:
        result = self._remembered.get(key)  # the keys of the two kinds of work differ in length
        if result is None:
            if len(self._remembered) > MOST_REMEMBERED:
                self._remembered.clear()
            result = self._remembered[key] = work(*key)
        return result

    def _anywhere(self, location: str, held: str | None, present: tuple[str, ...]) -> list[tuple[str, Move]]:
        """Return the commands that depend on no receptacle."""
        commands = [self.move("look", location), self.move("inventory")]
        if "help" in self.wording.commands:
            commands.append(self.move("help"))
        if held is not None:
            # The domain means to let one examine what lies in view as well, but has a comma too many there
            # ("?l - location, ?r - receptacle"), so the planner looks for a type "location," and never finds one.
            commands.append(self.move("examineobject", held))
        if held in self.world.knives:
            commands += [
                self.move("sliceobject", location, thing, held) for thing in present if thing in self.world.sliceable
            ]
        return commands

    def _at_place(self, place: str, held: str | None, things: tuple[str, ...], is_open: bool) -> list[tuple[str, Move]]:
        """Return what can be done at a receptacle. Switching, heating and the like need no open door."""
        world, move = self.world, self.move
        commands = [move("examinereceptacle", place)]
        if place in world.openable:
            commands.append(move("closeobject" if is_open else "openobject", place))
        reachable = is_open or place not in world.openable
        commands += [move("toggleobject", place, thing) for thing in things if thing in world.toggleable]
        if held is None:
            return commands + [
                move("pickupobject", place, thing) for thing in things if reachable and thing in world.pickupable
            ]
        kind = world.receptacle_type.get(place)
        if reachable and (kind, world.object_type.get(held)) in world.can_contain:
            commands.append(move("putobject", place, held))
        if kind in world.rules.cleaning_places and held in world.cleanable:
            commands.append(move("cleanobject", place, held))
        if kind == "microwavetype" and held in world.heatable:
            commands.append(move("heatobject", place, held))
        if kind == "fridgetype" and held in world.coolable:
            commands.append(move("coolobject", place, held))
        return commands

    def after(self, state: State, move: Move) -> State:
        """The state that an admissible action leads to."""
        new = state.copy()
        EFFECTS[move.action](self.world, new, move.bound)
        if move.action in self.may_decide:
            new.won = None
        return new
