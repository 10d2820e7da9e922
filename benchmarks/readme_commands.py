"""The README's own commands at full size: is what comes out better than what went in?

    python benchmarks/readme_commands.py
    python benchmarks/readme_commands.py --episodes 600 --seed 7

`oreo collect` and `oreo train` are run as they stand in README.md, in a folder of their own, and then the start model,
the trained one and the best of 5 by its value play the same held-out games (split generated_unseen, at most 20 steps,
sampled at 0.5), which `--seed` draws. Differences to the start are over pairs of games, with Newcombe's interval.

Called again in the same folder it plays and trains what is missing.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

from rich.table import Table

import oreo
from oreo.agents import AgentConfig, load_agent
from oreo.cli import main as oreo_command
from oreo.cli.output import result_console
from oreo.errors import DataError
from oreo.eval.evaluate import Evaluation
from oreo.eval.statistics import paired_difference, percent
from oreo.files import write_json
from oreo.progress import Episodes, reported

README = Path(__file__).resolve().parent.parent / "README.md"
MAX_STEPS, TEMPERATURE = 20, 0.5


def readme_command(verb: str) -> list[str]:
    """The words of the README's `oreo collect …` or `oreo train …`."""
    command = re.search(rf"^oreo {verb} .*$", README.read_text(encoding="utf-8"), re.MULTILINE)
    if command is None:
        raise DataError(f"{README} has no command `oreo {verb}`")
    return shlex.split(command[0])[1:]


def run_command(words: list[str]) -> None:
    """Run an `oreo` command in this process; where it fails, so does this script."""
    try:
        oreo_command(words)
    except SystemExit as stop:
        if stop.code:
            raise


def play(agent: str, config: AgentConfig, args: argparse.Namespace, title: str) -> Evaluation:
    with Episodes(title, args.episodes) as progress:
        return oreo.evaluate(
            "oreo/ALFWorld-v0",
            load_agent(agent, config),
            episodes=args.episodes,
            seed=args.seed,
            max_steps=MAX_STEPS,
            batch_size=100,
            env_kwargs={"split": "generated_unseen"},
            on_episode=progress,
        )


def table(evaluations: dict[str, Evaluation]) -> Table:
    drawn = Table(title=f"The README's commands, {next(iter(evaluations.values())).overall.episodes} held-out games")
    for column in ("agent", "success", "95 % interval", "points above the start"):
        drawn.add_column(column, justify="left" if column == "agent" else "right", no_wrap=True)
    for name, row in rows(evaluations).items():
        points = "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * number for number in row["above_start"]))
        interval = f"{100 * row['low']:.1f} – {percent(row['high'])}"
        drawn.add_row(name, percent(row["success"]), interval, "" if name == "start" else points)
    return drawn


def rows(evaluations: dict[str, Evaluation]) -> dict[str, dict[str, Any]]:
    start = [episode.won for episode in evaluations["start"].trajectories]
    return {
        name: {
            "success": evaluation.overall.success,
            "low": evaluation.overall.low,
            "high": evaluation.overall.high,
            "above_start": paired_difference(start, [episode.won for episode in evaluation.trajectories]),
        }
        for name, evaluation in evaluations.items()
    }


def run(args: argparse.Namespace) -> None:
    args.into.mkdir(parents=True, exist_ok=True)
    os.chdir(args.into)
    collect, train = readme_command("collect"), readme_command("train")
    trained = Path(train[train.index("--output") + 1])
    if not (trained / "policy").is_dir():
        run_command([*collect, "--resume"])
        run_command([*train, "--resume"])
    sampled = AgentConfig(temperature=TEMPERATURE)
    players = {
        "start": (train[train.index("--model") + 1], sampled),
        "trained": (str(trained), sampled),
        "trained, best of 5": (str(trained), AgentConfig(choose="best-of", k=5, temperature=TEMPERATURE)),
    }
    evaluations = {name: play(agent, config, args, name) for name, (agent, config) in players.items()}
    write_json(Path("results.json"), {"seed": args.seed, "rows": json.loads(json.dumps(rows(evaluations)))})
    result_console().print(table(evaluations))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=600, help="held-out games")
    parser.add_argument("--seed", type=int, default=0, help="of the held-out games")
    parser.add_argument("--into", type=Path, default=Path("runs/readme_commands"), help="folder for everything")
    args = parser.parse_args()
    with reported(f"stopped; what was made is in {args.into}, and the same command goes on from there"):
        run(args)


if __name__ == "__main__":
    main()
