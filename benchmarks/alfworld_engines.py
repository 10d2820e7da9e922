"""The simulator and the original engine, side by side on the same games: time to load, reset and step, and memory.

    python benchmarks/alfworld_engines.py                       eight generated games
    python benchmarks/alfworld_engines.py --data $ALFWORLD_DATA --split valid_seen --games 20

Both play the same commands and must say the same. "Load" is the first reset with a game, "reset" beginning the same
game again; a step includes asking for the admissible commands and whether the game is won. Times are medians.
The original is shown twice: as it is, and as this package runs it, which remembers what it has translated and parsed
before. It runs in a process of its own; handing texts over costs it about 0.1 ms a call.

Memory is that of the process, after a tenth of its resets, half and all. The simulator gets another game each time, the
original four in turn (it takes a second for a new one): in one environment, as this package uses it, and in a new
environment each time, which it never gives back.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

from rich.console import Console
from rich.table import Table

from oreo.envs.alfworld.data.games import load_game, open_split
from oreo.envs.alfworld.engines.engine import Engine
from oreo.envs.alfworld.engines.simulator import Simulator, forget_games
from oreo.envs.alfworld.engines.textworld_engine import TextWorldEngine
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.generation.generator import generate_game

MEASURES = ("load", "reset", "step")
Games = Callable[[int], Game]


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
        timed("reset", lambda game=game: engine.reset(game))
        for command in commands:
            timed("step", lambda command=command: (engine.step(command), engine.admissible_commands(), engine.won))
    engine.close()
    return {name: statistics.median(values) for name, values in times.items()}, transcript


def megabytes(process: int | str = "self") -> float:
    """Resident memory of a process."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def memory_of_resets(
    reset: Callable[[Game], object], games: Games, resets: int, process: Callable[[], int | str]
) -> list[float]:
    """Megabytes of a process after a tenth of its resets, after half of them, and after all."""
    looked = []
    for number in range(1, resets + 1):
        reset(games(number))
        if number in (resets // 10, resets // 2, resets):
            looked.append(megabytes(process()))
    return looked


def memory_of_new_environments(games: list[Game], resets: int, answer: Connection) -> None:
    """The original, used as it offers itself: an environment for each game. To be run in a process of its own."""
    os.environ["ALFWORLD_DATA"] = tempfile.gettempdir()  # else alfworld makes a folder on import
    import textworld
    from alfworld.agents.environment.alfred_tw_env import AlfredDemangler
    from textworld.envs.pddl.pddl import PddlEnv

    def reset(game: Game) -> None:
        env = AlfredDemangler(PddlEnv(textworld.EnvInfos(won=True, admissible_commands=True)))
        env.load({"pddl_domain": game.pddl_domain, "grammar": game.grammar, "pddl_problem": game.pddl_problem})
        env.reset()

    answer.send(memory_of_resets(reset, lambda number: games[number % len(games)], resets, lambda: "self"))


def memory_table(games: Games, resets: int, environments: int) -> Table:
    table = Table("engine", "resets", "MB after a tenth", "half", "all", title="memory")

    def row(name: str, resets: int, looked: list[float]) -> None:
        table.add_row(name, f"{resets:,}", *(f"{size:.0f}" for size in looked))

    few = [games(number) for number in range(4)]
    if environments >= 10:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=memory_of_new_environments, args=(few, environments, theirs))
        process.start()
        row("original, a new environment each", environments, ours.recv())
        process.join()
    engine = TextWorldEngine()
    looked = memory_of_resets(engine.reset, lambda number: few[number % 4], resets, lambda: engine._process.pid)
    row("original, one environment", resets, looked)
    engine.close()
    simulator = Simulator()
    row("simulator", resets, memory_of_resets(simulator.reset, games, resets, lambda: "self"))
    return table


def readable(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} µs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of real games; generated ones without it")
    parser.add_argument("--split", default="valid_seen")
    parser.add_argument("--games", type=int, default=8)
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--resets", type=int, default=1000, help="for the memory; less than 10: leave it out")
    parser.add_argument(
        "--environments", type=int, default=30, help="of the original, a new one each; less than 10: none"
    )
    args = parser.parse_args()
    if args.data:
        entries = random.Random(0).sample(found := open_split(args.data, args.split), len(found))
        draw: Games = lambda number: load_game(args.data, entries[number % len(entries)].name)  # noqa: E731
    else:
        draw = generate_game
    warm_up, *games = [draw(number) for number in range(args.games + 1)]
    walks = [walk(game, args.steps) for game in games]
    forget_games()  # no engine shall have met the games it is measured on

    results = {}
    engines: dict[str, Engine] = {
        "original": TextWorldEngine(remember=False),
        "original, remembering": TextWorldEngine(),
        "simulator": Simulator(),
    }
    replies = {}
    for name, engine in engines.items():
        results[name], replies[name] = measure(engine, warm_up, games, walks)
    table = Table("engine", *MEASURES, title=f"{len(games)} games, {args.steps} steps each")
    for engine_name, seconds in results.items():
        factors = [results["original"][name] / seconds[name] for name in MEASURES]
        cells = [f"{readable(seconds[name])}  ({factor:,.0f}x)" for name, factor in zip(MEASURES, factors, strict=True)]
        table.add_row(engine_name, *cells)
    console = Console()
    console.print(table)
    same = all(transcript == replies["original"] for transcript in replies.values())
    if args.resets >= 10:
        console.print(memory_table(draw, args.resets, args.environments))
    console.print("All three said the same." if same else "[bold red]They did not say the same.[/]")
    raise SystemExit(0 if same else 1)


if __name__ == "__main__":
    main()
