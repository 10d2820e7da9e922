"""New ALFWorld games, as many as wanted, from the floor plans and object tables inside the alfworld package.

    game = generate_game(0)                                           # a small house: 8 receptacles, 14 objects at most
    game = generate_game(0, max_receptacles=None, max_objects=None)   # as large as the floor plan
    assert game_by_name(game.name) == game
    write_games(100, "games")                                         # for alfworld's own tools: ALFWORLD_DATA=games

A game is a function of its name: seed, index, held-out or not, dialect, size and task types. It is solvable by
construction, and the explorer has won it. Training and held-out games never share a floor plan (see layouts.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

from oreo.envs.alfworld.expert import Explorer
from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.envs.alfworld.houses import draw_game
from oreo.envs.alfworld.knobs import Knobs, is_generated, parse_name
from oreo.envs.alfworld.writer import existing, write_game, write_logic
from oreo.errors import EngineError, UsageError

__all__ = ["Knobs", "game_by_name", "generate_game", "is_generated", "parse_name", "write_game", "write_games"]

_ATTEMPTS = 20  # Houses drawn for one game before giving up.


def generate_game(
    index: int,
    *,
    seed: int = 0,
    heldout: bool = False,
    dialect: str = "put",
    task_types: Sequence[str] | None = None,
    max_receptacles: int | None = 8,
    max_objects: int | None = 14,
) -> Game:
    """Game `index` of the series that the other arguments name: the same on every machine.

    Args:
        heldout: from the held-out floor plans (6 of each room) instead of those for training (24 of each).
        task_types: those to draw from, evenly; None for all six.
        max_receptacles, max_objects: upper limits, None for what the floor plan holds.
    Raises UsageError for arguments out of range.
    """
    return _generate(
        Knobs(
            index=index,
            seed=seed,
            heldout=heldout,
            dialect=dialect,
            task_types=_in_order(task_types),
            max_receptacles=max_receptacles,
            max_objects=max_objects,
        )
    )


def _in_order(task_types: str | Sequence[str] | None) -> tuple[str, ...]:
    """One fixed order, so that the same set of types is the same series. Unknown ones go last, for Knobs to refuse."""
    if task_types is None:
        return TASK_TYPES
    chosen = {task_types} if isinstance(task_types, str) else set(task_types)
    known = tuple(task_type for task_type in TASK_TYPES if task_type in chosen)
    return known + tuple(sorted(chosen - set(TASK_TYPES), key=str))


def game_by_name(name: str) -> Game:
    """The generated game of this name, byte for byte the same. Raises UsageError for a name that is none."""
    return _generate(parse_name(name))


def _generate(knobs: Knobs) -> Game:
    name = str(knobs)
    for attempt in range(_ATTEMPTS):
        game = draw_game(knobs, attempt)
        if _explorer_wins(game):
            return game
    raise EngineError(f"no solvable house in {_ATTEMPTS} attempts for game {name!r}: please report this name")


def _explorer_wins(game: Game) -> bool:
    """Whether the explorer, who sees no more than a player, wins the game."""
    from oreo.envs.alfworld.simulator import Simulator

    simulator = Simulator()
    explorer = Explorer(simulator.reset(game), game.task_type, game.params, game.dialect)
    for _ in range(50 + 3 * len(explorer.memory.receptacles)):  # Enough to go to and open everything, and to carry.
        action = explorer.act()
        explorer.observe(action, simulator.step(action))
        if simulator.won:
            return True
    return False


def write_games(
    count: int,
    root: str | os.PathLike[str],
    *,
    first: int = 0,
    seed: int = 0,
    heldout: bool = False,
    dialect: str = "put",
    task_types: Sequence[str] | None = None,
    max_receptacles: int | None = 8,
    max_objects: int | None = 14,
    progress: Callable[[int, int], object] | None = None,
) -> list[Path]:
    """Write games first … first + count - 1 of a series, and the game logic beside them, below `root`.

    `root` then serves as ALFWORLD_DATA. Games already there are kept: call again to go on after an interruption.

    Args:
        progress: called with (games done, count) after each.

    Returns the paths of the game.tw-pddl files, in the order of the series. Raises UsageError and DataError.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise UsageError(f"count={count!r}: expected the number of games to write, 1 or more")
    series = [
        Knobs(seed, first + i, heldout, dialect, _in_order(task_types), max_receptacles, max_objects)
        for i in range(count)
    ]
    write_logic(root, dialect)
    there = existing(root, series)
    paths = []
    for done, knobs in enumerate(series, start=1):
        paths.append(there.get(str(knobs)) or write_game(_generate(knobs), root))
        if progress is not None:
            progress(done, count)
    return paths
