"""A model raised on generated games (examples/raise.py), on games that it has not seen: one table.

    python benchmarks/raised.py runs/raise
    python benchmarks/raised.py runs/raise --data $ALFWORLD_DATA --splits generated_unseen train --games 300

Each row is a split, a dialect and a way to act: `greedy` and `sampled` write their turns freely, `admissible` chooses
among the admissible commands, which nobody else is told. Success in % with its 95 % Wilson interval within 40 and
within 50 steps, the first counted in the episodes of the second, then within 50 steps for each type of task. Generated
games are realistic houses on held-out floor plans; of real ones the same sample is played by all. The model has seen
none of either; the figures by which the generator draws houses are counted over the train split, which is therefore the
less independent one.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from oreo.agents import load_agent
from oreo.envs import make
from oreo.envs.alfworld.game import DIALECTS, TASK_TYPES
from oreo.eval.evaluate import evaluate
from oreo.eval.statistics import wilson_interval
from oreo.progress import Progress, reported
from oreo.trajectory import Trajectory

ENV = "oreo/ALFWorld-v0"
WAYS: dict[str, dict[str, Any]] = {
    "greedy": {"temperature": 0.0},
    "sampled": {"temperature": 0.5},
    "admissible": {"choose": "admissible", "temperature": 0.0},
}
STEPS = (40, 50)
HEADINGS = dict(zip(TASK_TYPES, ("pick", "look", "clean", "heat", "cool", "pick two"), strict=True))


def play(agent: str, way: str, split: str, dialect: str, games: int, data: Path | None) -> Sequence[Trajectory]:
    """The episodes of a row, at most STEPS[-1] steps each; of a smaller split all games once."""
    kwargs: dict[str, Any] = {"split": split, "dialect": dialect}
    kwargs |= {"realistic": True} if split.startswith("generated") else {"data": str(data)} if data else {}
    with closing(make(ENV, **kwargs)) as opened:
        listed = getattr(opened.unwrapped, "games", None)
    return evaluate(
        ENV,
        load_agent(agent, **WAYS[way]),
        episodes=games if listed is None else min(games, len(listed)),
        batch_size=50,
        max_steps=STEPS[-1],
        env_kwargs=kwargs,
    ).trajectories


def success(episodes: Sequence[Trajectory], steps: int, *, interval: bool = True) -> str:
    """Share won within so many steps, in %."""
    if not episodes:
        return "–"
    won = sum(episode.won and len(episode) <= steps for episode in episodes)
    low, high = wilson_interval(won, len(episodes))
    return f"{100 * won / len(episodes):.0f}" + (f" ({100 * low:.0f}–{100 * high:.0f})" if interval else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agent", help="as of oreo eval")
    parser.add_argument("--splits", nargs="+", default=["generated_unseen"])
    parser.add_argument("--dialects", nargs="+", choices=DIALECTS, default=list(DIALECTS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--games", type=int, default=200, help="of a row; a smaller split is played whole")
    parser.add_argument("--data", type=Path, help="folder or pack of the real games; ALFWORLD_DATA without it")
    args = parser.parse_args()
    rows = [(split, dialect, way) for split in args.splits for dialect in args.dialects for way in args.ways]
    table = Table(
        *("split", "dialect", "acts", "games", *(f"{steps} steps" for steps in STEPS)),
        *HEADINGS.values(),
        title=f"{args.agent}: success in %",
    )
    with reported("stopped; nothing is kept"), Progress("rows", len(rows)) as progress:
        for done, row in enumerate(rows, start=1):
            split, dialect, way = row
            episodes = play(args.agent, way, split, dialect, args.games, args.data)
            by_type = [[episode for episode in episodes if episode.task_type == name] for name in HEADINGS]
            table.add_row(
                *row,
                str(len(episodes)),
                *(success(episodes, steps) for steps in STEPS),
                *(success(of_type, STEPS[-1], interval=False) for of_type in by_type),
            )
            progress.to(done, note=" ".join(row))
    Console().print(table)


if __name__ == "__main__":
    main()
