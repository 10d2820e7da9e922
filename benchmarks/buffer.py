"""A buffer of many steps beside the same episodes as JSON lines and in Hugging Face datasets.

    python benchmarks/buffer.py
    python benchmarks/buffer.py --steps 100000

Each operation runs in a process of its own, on files that an earlier one has written; memory is the most that the
process held, and CPU seconds, of all its threads, hardly depend on what else the machine does. Episodes are made up: 20
steps with ten admissible commands each, 500 games, a third won.

    append     write all episodes, one by one
    open       open them and say how many there are
    columns    count wins by task type
    filter     say which are won in fewer than 15 steps and of a game that is neither always won nor always lost
    index      200 episodes at random places
    scan       read all episodes in order
    shuffled   read all once in random order (ours in bounded memory: oreo.data.views)

Hugging Face datasets first copies what it opens into files of its own (open); JSON lines have to be read as a whole for
everything but the scan.
"""

from __future__ import annotations

import argparse
import collections
import itertools
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from oreo.data.buffer import TrajectoryBuffer
from oreo.trajectory import Step, Trajectory

OPERATIONS = ("append", "open", "columns", "filter", "index", "scan", "shuffled")
STORES = ("buffer", "jsonl", "datasets")
STEPS_OF_AN_EPISODE = 20
GAMES = 500
INDEXED = 200
CONDITION = "won and steps < 15 and wins(game) > 0 and wins(game) < 1"


def episodes(steps: int) -> Iterator[Trajectory]:
    """Episodes with about this many steps in all."""
    rng = random.Random(0)
    for number in range(steps // STEPS_OF_AN_EPISODE):
        length = rng.randint(STEPS_OF_AN_EPISODE // 2, STEPS_OF_AN_EPISODE * 3 // 2)
        won = rng.random() < 1 / 3
        taken = []
        for at in range(length):
            commands = tuple(f"go to cabinet {rng.randint(1, 30)}" for _ in range(10))
            seen = f"You arrive at cabinet {at}. On it, you see a mug {rng.randint(1, 9)}, and a plate {number % 7}."
            taken.append(Step(seen, commands[0], float(won and at == length - 1), None, True, commands, -rng.random()))
        yield Trajectory(
            "toy",
            tuple(taken),
            "the end",
            terminated=won,
            truncated=not won,
            won=won,
            game=f"game {rng.randrange(GAMES)}",
            task_type=f"type {number % 6}",
            seed=number,
            agent="lm(temperature=1.0)",
        )


# Operations: each does its work and returns what has to be the same for all stores.


def of_buffer(folder: Path, steps: int) -> dict[str, Callable[[], Any]]:
    path = folder / "buffer"

    def append() -> int:
        with TrajectoryBuffer(path) as buffer:
            buffer.extend(episodes(steps))
            return len(buffer)

    def stored() -> TrajectoryBuffer:
        return TrajectoryBuffer(path, create=False)

    return {
        "append": append,
        "open": lambda: len(stored()),
        "columns": lambda: won_by(stored().columns("task_type", "won")),
        "filter": lambda: len(stored().where(CONDITION)),
        "index": lambda: sum(stored_length(stored(), len)),
        "scan": lambda: sum(map(len, stored())),
        "shuffled": lambda: sum(map(len, stored().shuffled(0))),
    }


def stored_length(items: Any, length: Callable[[Any], int]) -> list[int]:
    """Of episodes at random places."""
    rng = random.Random(1)
    count = len(items)
    return [length(items[rng.randrange(count)]) for _ in range(INDEXED)]


def of_jsonl(folder: Path, steps: int) -> dict[str, Callable[[], Any]]:
    path = folder / "episodes.jsonl"

    def append() -> int:
        with path.open("w", encoding="utf-8") as file:
            return sum(1 for episode in episodes(steps) if file.write(json.dumps(asdict(episode)) + "\n"))

    def rows() -> Iterator[dict[str, Any]]:
        with path.open(encoding="utf-8") as file:
            yield from map(json.loads, file)

    def shuffled() -> int:
        every = list(rows())
        random.Random(0).shuffle(every)
        return sum(len(row["steps"]) for row in every)

    return {
        "append": append,
        "open": lambda: sum(1 for _ in rows()),
        "columns": lambda: won_by((row["task_type"], row["won"]) for row in rows()),
        "filter": lambda: meant([(row["won"], len(row["steps"]), row["game"]) for row in rows()]),
        "index": lambda: sum(stored_length(list(rows()), lambda row: len(row["steps"]))),
        "scan": lambda: sum(len(row["steps"]) for row in rows()),
        "shuffled": shuffled,
    }


def won_by(rows: Iterable[tuple[Any, ...]]) -> list[list[Any]]:
    """[task type, episodes of it that were won]."""
    return sorted(map(list, collections.Counter(kind for kind, won in rows if won).items()))


def meant(rows: list[tuple[bool, int, str]]) -> int:
    """How many episodes CONDITION means, in plain Python."""
    wins: dict[str, list[bool]] = collections.defaultdict(list)
    for won, _, game in rows:
        wins[game].append(won)
    return sum(won and steps < 15 and 0 < sum(wins[game]) < len(wins[game]) for won, steps, game in rows)


def of_datasets(folder: Path, steps: int) -> dict[str, Callable[[], Any]]:
    """What was stored by ours, opened by theirs."""
    import datasets

    datasets.disable_progress_bars()

    def opened() -> Any:
        files = f"{folder / 'buffer'}/*.parquet"
        return datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(folder / "cache"))

    def columns() -> Any:
        rows = opened()
        return won_by(zip(rows["task_type"], rows["won"], strict=True))

    def lengths(rows: Any) -> Any:
        return list(zip(rows["won"], rows["length"], rows["game"], strict=True))

    return {
        "open": lambda: len(opened()),
        "columns": columns,
        "filter": lambda: meant(lengths(opened())),
        "index": lambda: sum(stored_length(opened(), lambda row: len(row["steps"]))),
        "scan": lambda: sum(len(row["steps"]) for row in opened()),
        "shuffled": lambda: sum(len(row["steps"]) for row in opened().shuffle(seed=0)),
    }


KINDS = {"buffer": of_buffer, "jsonl": of_jsonl, "datasets": of_datasets}


def measured(store: str, operation: str, folder: Path, steps: int) -> dict[str, Any] | None:
    """One operation in this process; None where a store has no such."""
    run = KINDS[store](folder, steps).get(operation)
    if run is None:
        return None
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began, began_cpu = time.perf_counter(), time.process_time()
    result = run()
    seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"seconds": seconds, "cpu": cpu, "mib": peak / 1024, "more_mib": (peak - before) / 1024, "result": result}


def in_process_of_its_own(*words: object) -> dict[str, Any] | None:
    command = [sys.executable, __file__, *map(str, words)]
    answer = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    result: dict[str, Any] | None = json.loads(answer)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1_000_000, help="of all episodes together, about")
    parser.add_argument("--json", action="store_true", help="one JSON value in place of the table")
    parser.add_argument("--one", nargs=3, metavar=("STORE", "OPERATION", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        store, operation, folder = given.one
        print(json.dumps(measured(store, operation, Path(folder), given.steps)))
        return
    with tempfile.TemporaryDirectory() as folder:
        results = {
            (store, operation): in_process_of_its_own("--steps", given.steps, "--one", store, operation, folder)
            for store, operation in itertools.product(STORES, OPERATIONS)
        }
        sizes = {
            "buffer": sum(path.stat().st_size for path in (Path(folder) / "buffer").iterdir() if path.is_file()),
            "jsonl": (Path(folder) / "episodes.jsonl").stat().st_size,
        }
    for operation in OPERATIONS[1:-1]:
        answers = [results[store, operation]["result"] for store in STORES]  # type: ignore[index]
        assert operation == "index" or answers.count(answers[0]) == len(answers), (operation, answers)
    if given.json:
        named = {" ".join(key): one for key, one in results.items()}
        print(json.dumps({"steps": given.steps, "bytes": sizes, **named}))
        return
    table = Table(title=f"{given.steps:,} steps: seconds, CPU seconds, and MiB that the process held at most")
    for name in ("", *STORES):
        table.add_column(name, justify="left" if not name else "right")
    for operation in OPERATIONS:
        row = [results[store, operation] for store in STORES]
        table.add_row(
            operation,
            *("" if one is None else f"{one['seconds']:.2f} s, {one['cpu']:.2f}, {one['mib']:.0f}" for one in row),
        )
    table.add_row("size", *(f"{sizes[store] / 2**20:.1f} MiB" if store in sizes else "" for store in STORES))
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
