"""The simulator and the original engine, side by side on the same games: seconds to load, to begin again, to step.

    python benchmarks/alfworld_engines.py                       four generated games
    python benchmarks/alfworld_engines.py --data $ALFWORLD_DATA --split valid_seen --games 20

Both play the same commands and must say the same. A step includes asking for the admissible commands and whether the
game is won. The original is shown twice: as it is, and as this package runs it, which remembers what it has translated
and parsed before. It runs in a process of its own; handing texts over costs it about 0.1 ms a call. Times are medians.
"""

from __future__ import annotations

import argparse
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from oreo.envs.alfworld.engine import Engine
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.games import load_game, open_split
from oreo.envs.alfworld.generator import generate_game
from oreo.envs.alfworld.simulator import Simulator, forget_games
from oreo.envs.alfworld.textworld_engine import TextWorldEngine

MEASURES = ("load", "begin again", "step")


def walk(game: Game, steps: int) -> list[str]:
    """Random admissible commands."""
    simulator, rng = Simulator(), random.Random(game.name)
    simulator.reset(game)
    commands = []
    for _ in range(steps):
        commands.append(rng.choice(simulator.admissible_commands()))
        simulator.step(commands[-1])
    return commands


def measure(
    engine: Engine, warm_up: Game, games: list[Game], walks: list[list[str]]
) -> tuple[dict[str, float], list[object]]:
    """Median seconds by measure, and everything the engine said."""
    times: dict[str, list[float]] = {name: [] for name in MEASURES}
    transcript: list[object] = []

    def timed(name: str, work: Callable[[], object]) -> None:
        start = time.perf_counter()
        transcript.append(work())
        times[name].append(time.perf_counter() - start)

    engine.reset(warm_up)  # start its process, import its modules, read the domain that all games share
    for game, commands in zip(games, walks, strict=True):
        timed("load", lambda game=game: engine.reset(game))
        timed("begin again", lambda game=game: engine.reset(game))
        for command in commands:
            timed("step", lambda command=command: (engine.step(command), engine.admissible_commands(), engine.won))
    engine.close()
    return {name: statistics.median(values) for name, values in times.items()}, transcript


def readable(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of real games; generated ones without it")
    parser.add_argument("--split", default="valid_seen")
    parser.add_argument("--games", type=int, default=4)
    parser.add_argument("--steps", type=int, default=10)
    args = parser.parse_args()
    if args.data:
        entries = open_split(args.data, args.split)
        games = [load_game(args.data, entry.name) for entry in random.Random(0).sample(entries, args.games + 1)]
    else:
        games = [generate_game(index) for index in range(args.games + 1)]
    warm_up, *games = games
    walks = [walk(game, args.steps) for game in games]
    forget_games()  # no engine shall have met the games it is measured on

    results = {}
    engines: dict[str, Engine] = {
        "original": TextWorldEngine(remember=False),
        "original, remembering": TextWorldEngine(),
        "simulator": Simulator(),
    }
    said = {}
    for name, engine in engines.items():
        results[name], said[name] = measure(engine, warm_up, games, walks)
    table = Table("engine", *MEASURES, title=f"{len(games)} games, {args.steps} steps each")
    for engine_name, seconds in results.items():
        factors = [results["original"][name] / seconds[name] for name in MEASURES]
        cells = [f"{readable(seconds[name])}  ({factor:,.0f}x)" for name, factor in zip(MEASURES, factors, strict=True)]
        table.add_row(engine_name, *cells)
    console = Console()
    console.print(table)
    same = all(transcript == said["original"] for transcript in said.values())
    console.print("All three said the same." if same else "[bold red]They did not say the same.[/]")
    raise SystemExit(0 if same else 1)


if __name__ == "__main__":
    main()
