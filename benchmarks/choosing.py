"""Choosing: what each way to choose among turns wins, on generated games in floor plans that training never saw.

    python benchmarks/choosing.py --agent checkpoints/kitchen
    python benchmarks/choosing.py --agent checkpoints/kitchen --plot choosing.png
    python benchmarks/choosing.py --agent checkpoints/kitchen --only sampled best_of_5

The same games for all, by the quickstart's protocol (split generated_unseen, at most 20 steps), with one checkpoint of
`oreo train --method oreo`:

    greedy                   the likeliest turn
    sampled                  one turn, at --temperature: best of 1, what the others are compared with
    best_of_2, 3, 5, 8       so many sampled turns, the best by the value model
    admissible               the likeliest of the commands that are accepted
    admissible_best_of_3, 5  the best by likelihood and value of so many of the likeliest of these
    admissible_by_value      the best of 5 by value alone
    planner_1, 2             tries 5 sampled turns in a copy of the world, 1 or 2 turns deep
    planner_1_admissible     tries the 5 likeliest of the commands that are accepted

The curve over K is that of arXiv 2412.16145, section 4.4, where it flattens at 5.

Every episode is kept under --into. Call it again and it plays what is missing (also after raising --episodes), then
shows all rows that are complete. results.json there has the figures of the table, with the agents' full settings and
p-values. The difference to best of 1 is over pairs of games, with its 95 % interval (Newcombe's); with a dozen of them,
one may well exclude 0 by chance. The value model reads along in every row; that is in the episodes a second.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table

from oreo.agents import load_agent
from oreo.cli.output import result_console
from oreo.errors import DataError, UsageError
from oreo.eval.evaluate import Evaluation, SuccessRate, describe, summarise
from oreo.eval.plots import check_plot, success_over_k
from oreo.eval.statistics import mcnemar_exact, paired_difference, percent
from oreo.experiments.quickstart import ALFWORLD, TEMPERATURE
from oreo.experiments.resumable import claim, stored
from oreo.files import read_json, write_json
from oreo.models.loading import resolve_checkpoint
from oreo.models.saving import digest
from oreo.progress import Episodes, reported
from oreo.rollouts.collect import play_into
from oreo.rollouts.settings import Rollout
from oreo.trajectory import Trajectory


@dataclass(frozen=True)
class Row:
    """A way to choose."""

    name: str
    """In the table, of its folder, and for --only."""
    settings: dict[str, Any]
    """Of `load_agent`. Where they have no temperature, it is the one asked for."""
    k: int = 0
    """Its place on the plot's axis; 0: it is a reference beside it, or not there."""
    group: str = ""
    """Of references on the plot; "": not one of them."""
    label: str = ""


GREEDY = {"temperature": 0.0}
"""With admissible commands: the likeliest, and not a draw."""
ADMISSIBLE = {"choose": "admissible", **GREEDY}
ROWS = (
    Row("greedy", GREEDY, group="one turn", label="greedy"),
    Row("sampled", {}, k=1),
    *(Row(f"best_of_{k}", {"choose": "best-of", "k": k}, k=k) for k in (2, 3, 5, 8)),
    Row("admissible", ADMISSIBLE, group="admissible commands", label="likeliest"),
    *(
        Row(f"admissible_best_of_{k}", {**ADMISSIBLE, "k": k}, group="admissible commands", label=f"best of {k}")
        for k in (3, 5)
    ),
    Row("admissible_by_value", {**ADMISSIBLE, "k": 5, "beta": 0.0}),  # too low for a plot that shows the others
    Row("planner_1", {"choose": "plan", "depth": 1, "k": 5}, group="planner", label="1 turn deep"),
    Row("planner_2", {"choose": "plan", "depth": 2, "k": 5}, group="planner", label="2 turns deep"),
    Row(
        "planner_1_admissible",
        {"choose": "plan", "proposals": "admissible", "k": 5, "temperature": 1.0},  # no samples, so no temperature
        group="planner",
        label="1 deep, admissible",
    ),
)
REFERENCE = "sampled"


def claim_folder(args: argparse.Namespace) -> None:
    """One folder for one checkpoint, seed and temperature."""
    policy, value = resolve_checkpoint(args.agent)
    if value is None:
        raise DataError(f"{args.agent} has no value model to choose by; train one with method oreo")
    settings = {
        "policy": digest(policy),
        "value": digest(value),
        "seed": args.seed,
        "temperature": args.temperature,
    }
    claim(args.into, "choosing.json", settings, option="--into")


def episodes(row: Row, args: argparse.Namespace) -> dict[int, Trajectory]:
    """The row's episodes that are there, by index."""
    return stored(args.into / row.name, seed=args.seed, episodes=args.episodes)


def play_missing(row: Row, args: argparse.Namespace) -> None:
    """Play what is not there; each episode is kept as it ends, and the time they took beside them."""
    complete = episodes(row, args)
    missing = [index for index in range(args.episodes) if index not in complete]
    if not missing:
        return
    agent = load_agent(args.agent, **{"temperature": args.temperature, **row.settings})
    with Episodes(row.name, len(missing)) as seen:
        began = time.perf_counter()
        try:
            held_out = Rollout(
                ALFWORLD.env,
                ALFWORLD.held_out,
                args.seed,
                batch_size=args.batch_size,
                max_steps=ALFWORLD.max_steps,
            )
            play_into(args.into / row.name, held_out, agent, missing, on_episode=seen)
        finally:
            before = taken(row, args)
            timed = {"episodes": seen.done, "seconds": time.perf_counter() - began}
            write_json(args.into / f"{row.name}.json", {key: before[key] + timed[key] for key in timed})


def taken(row: Row, args: argparse.Namespace) -> dict[str, float]:
    """How many of the row's episodes took how many seconds so far."""
    file = args.into / f"{row.name}.json"
    return read_json(file) if file.is_file() else {"episodes": 0, "seconds": 0.0}


def figures(row: Row, args: argparse.Namespace, evaluation: Evaluation, reference: Evaluation | None) -> dict[str, Any]:
    """A row of results.json."""
    time_taken = taken(row, args)
    result = {
        "agent": evaluation.agent,
        **asdict(evaluation.overall),
        # None where the process was killed each time before it could say.
        "episodes_per_second": time_taken["episodes"] / time_taken["seconds"] if time_taken["seconds"] else None,
    }
    if reference is None or row.name == REFERENCE:
        return result
    pairs = list(zip(reference.trajectories, evaluation.trajectories, strict=True))
    assert all(one.game == other.game for one, other in pairs)
    won = [one.won for one, _ in pairs], [other.won for _, other in pairs]
    difference, low, high = paired_difference(*won)
    return result | {
        f"against_{REFERENCE}": {"difference": difference, "low": low, "high": high, "p": mcnemar_exact(*won)}
    }


def table(results: dict[str, dict[str, Any]], title: str) -> Table:
    drawn = Table(title=title)
    drawn.add_column("way to choose", no_wrap=True)
    for column in ("success", "95 % interval", "points above best of 1", "steps", "episodes/s"):
        drawn.add_column(column, justify="right", no_wrap=True)
    for name, result in results.items():
        paired, speed = result.get(f"against_{REFERENCE}"), result["episodes_per_second"]
        points = [100 * paired[key] for key in ("difference", "low", "high")] if paired else None
        drawn.add_row(
            name,
            percent(result["success"]),
            f"{100 * result['low']:.1f} – {percent(result['high'])}",
            "{:+.1f} ({:+.1f} to {:+.1f})".format(*points) if points else "",
            f"{result['mean_steps']:.1f}",
            f"{speed:.2f}" if speed else "",
        )
    return drawn


def plot(evaluations: dict[str, Evaluation], path: Path, title: str) -> None:
    points = {row.k: evaluations[row.name].overall for row in ROWS if row.k and row.name in evaluations}
    references: dict[str, dict[str, SuccessRate]] = {}
    for row in ROWS:
        if row.group and row.name in evaluations:
            references.setdefault(row.group, {})[row.label] = evaluations[row.name].overall
    success_over_k(points, references, path, title)


def run(args: argparse.Namespace) -> None:
    if args.episodes < 1:
        raise UsageError(f"--episodes {args.episodes}: expected 1 or more")
    if args.plot:
        check_plot(args.plot)
    claim_folder(args)
    for row in ROWS:
        if args.only is None or row.name in args.only:
            play_missing(row, args)
    evaluations: dict[str, Evaluation] = {}
    for row in ROWS:
        complete = episodes(row, args)
        if len(complete) == args.episodes:
            played = [complete[index] for index in range(args.episodes)]
            evaluations[row.name] = summarise(played, {"max_steps": ALFWORLD.max_steps, "seed": args.seed})
    protocol = next(iter(evaluations.values())).protocol
    reference = evaluations.get(REFERENCE)
    results = {
        row.name: figures(row, args, evaluations[row.name], reference) for row in ROWS if row.name in evaluations
    }
    write_json(
        args.into / "results.json",
        {"settings": read_json(args.into / "choosing.json"), "protocol": protocol, "rows": results},
    )
    title = f"{describe(protocol)}, sampled at {args.temperature}"
    result_console().print(table(results, title))
    if args.plot:
        plot(evaluations, args.plot, title)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agent", required=True, help="an output folder of oreo train --method oreo")
    parser.add_argument("--episodes", type=int, default=600)
    parser.add_argument("--seed", type=int, default=0, help="of games and sampling")
    parser.add_argument("--temperature", type=float, default=TEMPERATURE, help="of everything that samples")
    parser.add_argument("--batch-size", type=int, default=100, help="episodes under way at once")
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[row.name for row in ROWS], help="play just these")
    parser.add_argument("--into", type=Path, default=Path("runs/choosing"), help="folder for the episodes")
    parser.add_argument("--plot", type=Path, help="draw success over K there: FILE.png or FILE.svg")
    args = parser.parse_args()
    with reported(f"stopped; what was played is in {args.into}, and the same command goes on from there"):
        run(args)


if __name__ == "__main__":
    main()
