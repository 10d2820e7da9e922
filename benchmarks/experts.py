"""The three experts on the same games: how many they win within 50 steps, in how many steps, in what time.

    python benchmarks/experts.py                                  100 generated games
    python benchmarks/experts.py --data $ALFWORLD_DATA --split valid_seen
    python benchmarks/experts.py --data $ALFWORLD_DATA --split train --games 500 --task-type look_at_obj_in_light

All play on the simulator, and the planner's steps are the fewest possible. Steps (mean, 95th percentile) are those of
the games won. The milliseconds of processor time (median, 95th percentile, most) are an episode's: expert and simulator
together, without reading the game.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from oreo.envs.alfworld.data.games import load_game, open_split
from oreo.envs.alfworld.data.selection import check_task_types
from oreo.envs.alfworld.engines.engine import Engine
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.experts.explorer import Explorer
from oreo.envs.alfworld.experts.handcoded import HandCodedExpert
from oreo.envs.alfworld.experts.planner import Planner
from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.envs.alfworld.generation.generator import generate_game

MAX_STEPS = 50


class ExplorerHere:
    """The explorer in the manner of the others."""

    def __init__(self, game: Game, observation: str) -> None:
        self._explorer = Explorer(observation, game.task_type, game.params, game.dialect)

    @property
    def action(self) -> str:
        return self._explorer.act()

    def observe(self, command: str, feedback: str, admissible: list[str], engine: Engine) -> None:
        self._explorer.observe(command, feedback)


EXPERTS: dict[str, Callable[[Game, str, Simulator], Any]] = {
    "explorer": lambda game, observation, engine: ExplorerHere(game, observation),
    "handcoded": lambda game, observation, engine: HandCodedExpert(game, observation, seed=0),
    "planner": lambda game, observation, engine: Planner(engine),
}


def play(name: str, game: Game, engine: Simulator) -> tuple[int | None, float]:
    """The steps of an episode, None where it is lost, and the milliseconds it took."""
    engine.reset(game)
    start = time.process_time()
    expert = EXPERTS[name](game, engine.reset(game), engine)
    steps = 0
    while not engine.won and steps < MAX_STEPS:
        command = expert.action
        expert.observe(command, engine.step(command), engine.admissible_commands(), engine)
        steps += 1
    return steps if engine.won else None, (time.process_time() - start) * 1000


def percentile(values: list[float], share: float) -> float:
    """The smallest value that `share` of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -int(-len(ordered) * share // 1) - 1)]


def chosen_games(args: argparse.Namespace) -> list[Game]:
    types = check_task_types(args.task_type)
    if not args.data:
        return [generate_game(index, task_types=types) for index in range(args.games or 100)]
    entries = open_split(args.data, args.split, types)
    if args.games:
        entries = random.Random(0).sample(entries, min(args.games, len(entries)))
    return [load_game(args.data, entry.name) for entry in entries]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of real games; generated ones without it")
    parser.add_argument("--split", default="valid_seen")
    parser.add_argument("--games", type=int, help="a sample of N; all real games, or 100 generated ones, without it")
    parser.add_argument("--task-type", choices=TASK_TYPES)
    parser.add_argument("--experts", nargs="+", choices=list(EXPERTS), default=list(EXPERTS))
    args = parser.parse_args()
    games = chosen_games(args)
    headings = ("expert", "games", f"won within {MAX_STEPS}", "steps", "95%", "ms", "95%", "most")
    table = Table(*headings, title=args.task_type or "all task types")
    engine = Simulator()
    for name in args.experts:
        play(name, games[0], engine)  # import its modules
        episodes = [play(name, game, engine) for game in games]
        steps, times = (
            [float(number) for number, _ in episodes if number is not None],
            [number for _, number in episodes],
        )
        table.add_row(
            name,
            str(len(games)),
            str(len(steps)),
            *((f"{statistics.mean(steps):.1f}", f"{percentile(steps, 0.95):.0f}") if steps else ("", "")),
            f"{statistics.median(times):.1f}",
            f"{percentile(times, 0.95):.1f}",
            f"{max(times):.1f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
