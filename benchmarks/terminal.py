"""How fast the list of a large buffer is: the first screen, the whole list, moving, finding, sorting; and its memory.

    python benchmarks/terminal.py
    python benchmarks/terminal.py --episodes 10000 --buffer /somewhere/large

Episodes are made up: 15 steps with five candidates and a value each. They are written once, into --buffer or a
temporary folder; the program then runs in a process of its own, without a terminal (textual's pilot, 80 × 24). Times
are seconds of the wall clock, moving and finding the mean of ten; `first` counts from the process's begin, imports
included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from oreo.data.buffer import TrajectoryBuffer
from oreo.trajectory import Candidate, Step, Trajectory

STEPS = 15
REPEATS = 10


def episode(number: int, rng: random.Random) -> Trajectory:
    """One of a few hundred games, won in two cases of three."""
    steps = []
    for at in range(STEPS):
        value = rng.random()
        candidates = tuple(Candidate(f"go to cabinet {n}", -1.0 - n, rng.random()) for n in range(5))
        steps.append(Step(f"You see cabinet {at}, and a mug.", "go to cabinet 0", value=value, candidates=candidates))
    won = rng.random() < 2 / 3
    return Trajectory(
        env_id="oreo/ALFWorld-v0",
        steps=tuple(steps),
        final_observation="Nothing happens.",
        terminated=won,
        truncated=not won,
        won=won,
        task=f"put a clean mug in cabinet {number % 300}.",
        task_type="pick_clean_then_place_in_recep",
        game=f"generated/0/{number % 300}/put-8-14",
        agent="best_of_5(temperature=0.5)",
        seed=number,
    )


def write(path: Path, count: int) -> None:
    rng = random.Random(0)
    with TrajectoryBuffer(path) as buffer:
        for number in range(count):
            buffer.append(episode(number, rng))


def measure(path: Path, begun: float) -> dict[str, float]:
    """What the program in this process takes."""
    from oreo.eval.terminal.app.list_screen import ListScreen
    from oreo.eval.terminal.app.program import Program
    from oreo.eval.terminal.app.reader_screen import stored_episode
    from oreo.eval.terminal.rows import COLUMNS

    taken: dict[str, float] = {}

    def job(_: Any) -> Any:
        raise AssertionError("nothing acts here")

    async def run() -> None:
        buffer = TrajectoryBuffer(path, create=False)
        screen = ListScreen(buffer, episode=lambda stored: stored_episode(stored, job=job))
        async with Program(screen).run_test(size=(80, 24)) as pilot:
            await pilot.pause()
            taken["first"] = time.time() - begun
            while not screen.rows.complete:
                await asyncio.sleep(0.01)
            await pilot.pause()
            taken["whole"] = time.time() - begun

            async def repeated(act: Callable[[int], object]) -> float:
                start = time.perf_counter()
                for number in range(REPEATS):
                    act(number)
                    screen.list.render_lines(screen.list.size.region)
                return (time.perf_counter() - start) / REPEATS

            screen._find("cabinet 7.", 0, 1)  # the words of all rows are put together once
            taken["move"] = await repeated(lambda number: screen.list.action_page(1))
            taken["find"] = await repeated(
                lambda number: screen._find(f"cabinet {299 - number}.", screen.list.place, 1)
            )
            taken["find nothing"] = await repeated(lambda number: screen._find("no such words", 0, 1))
            start = time.perf_counter()
            screen._sort(COLUMNS[5].name, reverse=False)
            taken["sort"] = time.perf_counter() - start
            start = time.perf_counter()
            screen.rows.read_values(screen.list.in_sight())
            taken["values in sight"] = time.perf_counter() - start

    asyncio.run(run())
    taken["memory (MB)"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100_000)
    parser.add_argument("--buffer", type=Path, help="where they are, or are to be; default: a temporary folder")
    parser.add_argument("--measure", type=float, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.measure is not None:
        print(json.dumps(measure(args.buffer, args.measure)))
        return
    with tempfile.TemporaryDirectory() as folder:
        path = args.buffer or Path(folder) / "buffer"
        if not path.exists():
            write(path, args.episodes)
        command = [sys.executable, __file__, "--buffer", str(path), "--measure"]
        result = subprocess.run([*command, str(time.time())], capture_output=True, text=True, check=True)
        for name, value in json.loads(result.stdout.splitlines()[-1]).items():
            print(f"{name:16} {value:8.3f}" if "MB" not in name else f"{name:16} {value:8.0f}")


if __name__ == "__main__":
    main()
