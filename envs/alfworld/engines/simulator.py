"""ALFWorld's games without a planner: the texts of the original engine, thousands of times faster, in plain Python.

The rules of the world are the ALFRED domain's: loaded_game.py has what is possible, effects.py what it does, and
rules.py makes sure that a game's own PDDL domain has just these. All texts come from the game's own grammar
(grammar.py, wording.py), the goal from its own PDDL problem (pddl.py, goal.py). A game that differs raises
`UnknownGameLogic`; the original engine plays it.

Two differences from the original are known, none in the text: a game whose goal can never hold, or always
holds, is loaded all the same, and `facts()` leaves out the planner's `new-axiom@…`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from oreo.envs.alfworld.engines.engine import REFUSED
from oreo.envs.alfworld.engines.loaded_game import LoadedGame
from oreo.envs.alfworld.engines.world import NONE, State
from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.envs.alfworld.game import Game
from oreo.errors import UsageError

__all__ = ["Simulator", "UnknownGameLogic", "forget_games"]


@lru_cache(maxsize=32)
def _load(domain: str, grammar: str, problem: str) -> LoadedGame:
    return LoadedGame(domain, grammar, problem)


def forget_games() -> None:
    """Drop the games that are kept for being played again soon. (A measurement wants that.)"""
    _load.cache_clear()


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
        """Load `game`; its first observation. The game before it stays where this one is refused.

        Raises:
            UnknownGameLogic: the game has rules or wording that the original engine may know.
            UnknownExpression: its grammar asks for what no engine evaluates.
            DataError: the game is malformed.
        """
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
        origin = state.at
        self._state = state = game.after(state, move)
        bound = move.bound | {"lstart": origin} if move.action == "gotolocation" else move.bound
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
        """Return where the game stands, for `restore`, in this process."""
        return (self._game, self._state, self._valid)

    def restore(self, snapshot: Any) -> None:
        if not (isinstance(snapshot, tuple) and len(snapshot) == 3 and isinstance(snapshot[1], State | None)):
            raise UsageError(f"restore() takes what snapshot() gave, got {type(snapshot).__name__}")
        self._game, self._state, self._valid = snapshot

    def state(self) -> dict[str, Any]:
        """Return where the game stands, to read: names instead of ids, JSON types only."""
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
