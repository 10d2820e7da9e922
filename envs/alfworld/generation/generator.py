"""New ALFWorld games, as many as wanted, from the floor plans and object tables inside the alfworld package.

    game = generate_game(0)                             # a small house: 8 receptacles, 14 objects at most
    game = generate_game(0, **REALISTIC)                # houses, tasks and their mix as in ALFWorld's train split
    game = generate_game(0, floor_plans="Kitchen", objects="Mug", distractors=5, expert_steps=(10, 20))
    assert game_by_name(game.name) == game
    write_games(100, "games")                           # for alfworld's own tools: ALFWORLD_DATA=games

A game is a function of its name, which says every setting (GeneratorSettings). It is solvable by construction, and the
explorer has won it. Training and held-out games never share a floor plan (see package_data.py).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from oreo.envs.alfworld.experts.explorer import Explorer
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.generation.houses import ATTEMPTS_A_TYPE, draw_game
from oreo.envs.alfworld.generation.settings import REALISTIC, GeneratorSettings, is_generated, make_settings, parse_name
from oreo.envs.alfworld.generation.tasks import task_weights
from oreo.envs.alfworld.generation.writer import existing, write_game, write_logic
from oreo.errors import EngineError, UsageError

__all__ = [
    "REALISTIC", "GeneratorSettings", "game_by_name", "generate_game", "is_generated", "parse_name", "write_game",
    "write_games",
]  # fmt: skip

_ATTEMPTS = 20  # Houses drawn for one game before giving up.


def generate_game(index: int, **settings: Any) -> Game:
    """Game `index` of the series that the settings name: the same on every machine.

    Args:
        settings: fields of `GeneratorSettings`, where each is explained: seed, heldout, dialect, task_types,
            max_receptacles, max_objects, floor_plans, objects, distractors, expert_steps, task_mix.
    Raises UsageError for settings out of range, and for those that rule each other out.
    """
    return _generate(make_settings({"index": index, **settings}, "generate_game"))


def game_by_name(name: str) -> Game:
    """The generated game of this name, byte for byte the same. Raises UsageError for a name that is none."""
    return _generate(parse_name(name))


@lru_cache(maxsize=128)  # one after the other, several agents play the same games, or one plays them several times
def _generate(settings: GeneratorSettings) -> Game:
    name = str(settings)
    if settings.expert_steps is not None:
        return _generate_as_far(settings, *settings.expert_steps)
    for attempt in range(_ATTEMPTS):
        game = draw_game(settings, attempt)
        if _explorer_steps(game) is not None:
            return game
    raise EngineError(f"no solvable house in {_ATTEMPTS} attempts for game {name!r}: please report this name")


def _generate_as_far(settings: GeneratorSettings, low: int, high: int) -> Game:
    """The first house the explorer wins in `low` to `high` steps. A type of task that never takes so long gives way."""
    attempts = ATTEMPTS_A_TYPE * len(task_weights(settings))
    for attempt in range(attempts):
        game = draw_game(settings, attempt)
        steps = _explorer_steps(game, most=high)
        if steps is not None and steps >= low:
            return game
    raise UsageError(
        f"expert_steps=({low}, {high}): in none of {attempts} houses drawn for {str(settings)!r} did the explorer "
        "need that many steps; widen it, or change the size of the houses"
    )


def _explorer_steps(game: Game, most: int | None = None) -> int | None:
    """Steps in which the explorer, who sees no more than a player, wins the game; None where it does not."""
    from oreo.envs.alfworld.engines.simulator import Simulator

    simulator = Simulator()
    explorer = Explorer(simulator.reset(game), game.task_type, game.params, game.dialect)
    enough = 50 + 3 * len(explorer.memory.receptacles)  # To go to and open everything, and to carry.
    for step in range(min(enough, most or enough)):
        action = explorer.act()
        explorer.observe(action, simulator.step(action))
        if simulator.won:
            return step + 1
    return None


def write_games(
    count: int,
    root: str | os.PathLike[str],
    *,
    first: int = 0,
    progress: Callable[[int, int], object] | None = None,
    **settings: Any,
) -> list[Path]:
    """Write games first … first + count - 1 of a series, and the game logic beside them, below `root`.

    `root` then serves as ALFWORLD_DATA. Games already there are kept: call again to go on after an interruption.

    Args:
        progress: called with (games done, count) after each.
        settings: as for `generate_game`.

    Returns the paths of the game.tw-pddl files, in the order of the series. Raises UsageError and DataError.
    """
    if not isinstance(count, int) or isinstance(count, bool) or count < 1:
        raise UsageError(f"count={count!r}: expected the number of games to write, 1 or more")
    if "index" in settings:
        raise UsageError("index is no argument of write_games: first=… says where in the series it begins")
    series = [make_settings({"index": first + i, **settings}, "write_games") for i in range(count)]
    task_weights(series[0])  # Settings that no game can have are told before anything is written.
    write_logic(root, series[0].dialect)
    written = existing(root, series)
    paths = []
    for done, game_settings in enumerate(series, start=1):
        paths.append(written.get(str(game_settings)) or write_game(_generate(game_settings), root))
        if progress is not None:
            progress(done, count)
    return paths
