"""ALFWorld's games without a planner: the texts of the original engine, thousands of times faster, in plain Python.

The rules of the world are the ALFRED domain's. They stand here, in `LoadedGame._at_place` (what is possible) and in
`_apply` (what it does); rules.py makes sure that a game's own PDDL domain has just these. All texts come from the
game's own grammar (grammar.py, wording.py), the goal from its own PDDL problem (pddl.py, goal.py). A game that differs
raises `UnknownGameLogic`; the original engine plays it.

Two differences from the original are known, none in the text: a game that cannot be won is loaded all the same, and
`facts()` leaves out the planner's `new-axiom@…`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.goal import compile_goal
from oreo.envs.alfworld.pddl import Fact, parse_problem
from oreo.envs.alfworld.rules import ACTIONS, known_rules
from oreo.envs.alfworld.unknown import UnknownGameLogic
from oreo.envs.alfworld.wording import Bound, Wording, read_wording
from oreo.envs.alfworld.world import NONE, State, World
from oreo.errors import UsageError

__all__ = ["Simulator", "UnknownGameLogic"]

REFUSED = "Nothing happens."


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
        found = self._moves.get(key)
        if found is None:
            bound = self._arguments(action, things)
            text = self.wording.commands[action](self.world, self.start, bound)
            found = self._moves[key] = (text, Move(action, bound))
        return found

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
        found = self._elsewhere.get(location)
        if found is None:
            found = sorted(text for text, move in self.journeys.items() if move.bound["lend"] != location)
            self._elsewhere[location] = found
        return found

    def local(self, state: State) -> dict[str, Move]:
        """The commands that do something here, with what they do."""
        if state.commands is None:
            here, held = state.at, state.held
            commands = dict(self._remember(self._anywhere, here, held, state.present.get(here, NONE)))
            for place in self.world.receptacles.get(here, NONE):
                things, is_open = state.inside.get(place, NONE), place in state.opened
                commands.update(self._remember(self._at_place, place, held, things, is_open))
            state.commands = commands
        return state.commands

    def _remember(self, work: Callable[..., list[tuple[str, Move]]], *key: Any) -> list[tuple[str, Move]]:
        found = self._remembered.get(key)
        if found is None:
            found = self._remembered[key] = work(*key)
        return found

    def _anywhere(self, here: str, held: str | None, present: tuple[str, ...]) -> list[tuple[str, Move]]:
        """What does not depend on a receptacle."""
        found = [self.move("look", here), self.move("inventory")]
        if "help" in self.wording.commands:
            found.append(self.move("help"))
        if held is not None:
            # The domain means to let one examine what lies in view as well, but has a comma too many there
            # ("?l - location, ?r - receptacle"), so the planner looks for a type "location," and never finds one.
            found.append(self.move("examineobject", held))
        if held in self.world.knives:
            found += [self.move("sliceobject", here, thing, held) for thing in present if thing in self.world.sliceable]
        return found

    def _at_place(self, place: str, held: str | None, things: tuple[str, ...], is_open: bool) -> list[tuple[str, Move]]:
        """What can be done at a receptacle. Switching, heating and the like need no open door."""
        world, move = self.world, self.move
        found = [move("examinereceptacle", place)]
        if place in world.openable:
            found.append(move("closeobject" if is_open else "openobject", place))
        reachable = is_open or place not in world.openable
        found += [move("toggleobject", place, thing) for thing in things if thing in world.toggleable]
        if held is None:
            return found + [
                move("pickupobject", place, thing) for thing in things if reachable and thing in world.pickupable
            ]
        kind = world.receptacle_type.get(place)
        if reachable and (kind, world.object_type.get(held)) in world.can_contain:
            found.append(move("putobject", place, held))
        if kind in world.rules.cleaning_places and held in world.cleanable:
            found.append(move("cleanobject", place, held))
        if kind == "microwavetype" and held in world.heatable:
            found.append(move("heatobject", place, held))
        if kind == "fridgetype" and held in world.coolable:
            found.append(move("coolobject", place, held))
        return found

    def after(self, state: State, move: Move) -> State:
        """The state that an admissible action leads to."""
        new = state.copy()
        _apply(self.world, new, move.action, move.bound)
        if move.action in self.may_decide:
            new.won = None
        return new


def _apply(world: World, new: State, action: str, bound: Bound) -> None:
    """Carry out an action. `made` and `unmade` note the facts it makes true and false, which the wording asks for."""
    made: tuple[Fact, ...] = ()
    unmade: tuple[Fact, ...] = ()
    if action == "gotolocation":
        made, unmade = (("atlocation", world.agent, bound["lend"]),), (("atlocation", world.agent, new.at),)
        new.at = bound["lend"]
    elif action == "look":
        new.checked |= {new.at}
    elif action in ("inventory", "help"):
        new.checked |= {world.agent}
    elif action == "examinereceptacle":
        new.checked |= {bound["r"]}
    elif action == "examineobject":
        new.checked |= {bound["o"]}
    elif action == "openobject":
        made = (("opened", bound["r"]),)
        new.opened |= {bound["r"]}
        new.checked |= {bound["r"]}
    elif action == "closeobject":
        unmade = (("opened", bound["r"]),)
        new.opened -= {bound["r"]}
    elif action in ("pickupobject", "putobject"):
        thing, place, here = bound["o"], bound["r"], new.at
        moved: tuple[Fact, ...] = (("inreceptacle", thing, place), ("objectatlocation", thing, here))
        holding: tuple[Fact, ...] = (("holds", world.agent, thing), ("holdsany", world.agent))
        if action == "putobject":
            made, unmade = moved, holding
            new.held = None
            new.inside = _with(new.inside, place, thing)
            new.present = _with(new.present, here, thing)
        else:
            made, unmade = holding, moved if world.can_be_at(thing, here) else moved[:1]
            new.held = thing
            new.inside = _without(new.inside, place, thing)
            new.present = _without(new.present, here, thing)
    elif action == "cleanobject":
        new.clean |= {bound["o"]}
    elif action == "heatobject":
        thing = bound["o"]
        made = (("ishot", thing),)
        if thing in world.start_cool or (world.has_fridge and thing in world.coolable):
            unmade = (("iscool", thing),)
        new.hot |= {thing}
        new.cool -= {thing}
    elif action == "coolobject":
        thing = bound["o"]
        made = (("iscool", thing),)
        if thing in world.start_hot or (world.has_microwave and thing in world.heatable):
            unmade = (("ishot", thing),)
        new.cool |= {thing}
        new.hot -= {thing}
    elif action == "toggleobject":
        thing = bound["o"]
        unmade = (("ison", thing),)  # the original notes both outcomes, this one last, whichever comes true
        new.on ^= {thing}
        new.toggled |= {thing}
    elif action == "sliceobject":
        new.sliced |= {bound["co"]}
    else:
        raise AssertionError(action)
    if made or unmade:
        new.negated = new.negated.difference(made).union(unmade)


def _with(groups: dict[str, tuple[str, ...]], place: str, thing: str) -> dict[str, tuple[str, ...]]:
    things = groups.get(place, NONE)
    return groups if thing in things else {**groups, place: tuple(sorted((*things, thing)))}


def _without(groups: dict[str, tuple[str, ...]], place: str, thing: str) -> dict[str, tuple[str, ...]]:
    return {**groups, place: tuple([each for each in groups.get(place, NONE) if each != thing])}


@lru_cache(maxsize=32)
def _load(domain: str, grammar: str, problem: str) -> LoadedGame:
    return LoadedGame(domain, grammar, problem)


class Simulator:
    """The engine (see engine.py) to use unless a game is unknown to it.

        simulator = Simulator()
        print(simulator.reset(game))
        print(simulator.step("go to cabinet 1"), simulator.won)

    A snapshot is taken and restored in less than a microsecond and stays good for as long as it is kept.
    """

    def __init__(self) -> None:
        self._game: LoadedGame | None = None
        self._state: State | None = None
        self._valid = True

    def reset(self, game: Game) -> str:
        """Raises UnknownGameLogic for a game with other rules, DataError for a malformed one; the last game stays."""
        loaded = _load(game.pddl_domain, game.grammar, game.pddl_problem)
        self._game, self._state, self._valid = loaded, loaded.start, True
        return loaded.intro

    def step(self, command: str) -> str:
        game, state = self._playing()
        command = command.strip()
        move = game.local(state).get(command)
        if move is None:
            move = game.journeys.get(command)
            if move is not None and move.bound["lend"] == state.at:
                move = None
        self._valid = move is not None
        if move is None:
            return REFUSED
        left = state.at
        self._state = state = game.after(state, move)
        bound = move.bound | {"lstart": left} if move.action == "gotolocation" else move.bound
        return game.wording.feedback[move.action](game.world, state, bound)

    @property
    def valid(self) -> bool:
        return self._valid

    @property
    def won(self) -> bool:
        game, state = self._playing()
        if state.won is None:
            state.won = game.goal_holds(state)
        return state.won

    def admissible_commands(self) -> list[str]:
        game, state = self._playing()
        if state.admissible is None:
            state.admissible = sorted([*game.local(state), *game.elsewhere(state.at)])
        return list(state.admissible)

    def facts(self) -> list[str]:
        """Sorted (the original's order differs from process to process)."""
        game, state = self._playing()
        return game.world.fact_texts(state)

    def snapshot(self) -> Any:
        """Where the game stands, for `restore`, in this process."""
        return (self._game, self._state, self._valid)

    def restore(self, snapshot: Any) -> None:
        self._game, self._state, self._valid = snapshot

    def state(self) -> dict[str, Any]:
        """Where the game stands, to read: names instead of ids, JSON types only."""
        game, state = self._playing()
        world = game.world
        names = {thing: name.strip() for thing, name in world.names.items()}
        marks = {"hot": state.hot, "cool": state.cool, "clean": state.clean, "on": state.on, "sliced": state.sliced}
        things = sorted({thing for things in state.inside.values() for thing in things} | {state.held or ""} - {""})
        return {
            "location": names[state.at],
            "facing": [names[place] for place in world.receptacles.get(state.at, NONE)],
            "holding": None if state.held is None else names[state.held],
            "receptacles": {
                names[place]: {
                    "location": names[world.location[place]],
                    "open": place in state.opened if place in world.openable else None,
                    "contents": [names[thing] for thing in state.inside.get(place, NONE)],
                }
                for place in sorted(world.location)
            },
            "objects": {names[thing]: {mark: thing in marked for mark, marked in marks.items()} for thing in things},
        }

    def close(self) -> None:
        self._game = self._state = None

    def _playing(self) -> tuple[LoadedGame, State]:
        if self._game is None or self._state is None:
            raise UsageError("no game is being played: call reset(game) first")
        return self._game, self._state
