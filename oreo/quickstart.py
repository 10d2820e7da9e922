"""The main job on the embedded default: collect, train, evaluate, watch. No download, no GPU, and nothing precomputed
but the tiny language model it starts from.

    run(Path("runs/quickstart"), seed=0, fast=False, console=Console())

Everything it makes stays under one folder: the buffer, both trained agents, the held-out episodes, results.json.
A finished stage is not done again: call it once more after an interruption and it goes on from there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo.cli.output import Episodes, Updates
from oreo.resumable import claim, one_process, play_left, played, still_to_play, train_once, write_json

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from oreo.eval.evaluate import Evaluation
    from oreo.trajectory import Trajectory

ENV = "oreo/ALFWorld-v0"
TRAIN = {"split": "generated"}
HELD_OUT = {"split": "generated_unseen"}
MAX_STEPS = 20
"""The explorer needs 15 at most in houses of this size; the original's 50 would only lengthen what is lost anyway."""
BEST_OF = 5
TEMPERATURE = 0.5
"""Every agent samples at this temperature. Candidates have to differ, and a table in which one row samples while the
others play greedily would credit the value model with what sampling does (greedy play of a model of this size repeats
what was refused). At 1 some candidates are so unlikely that the value model has hardly seen their like: the best of
its errors is taken, and success falls below that of plain sampling."""


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    episodes: int
    """Sampled from the start model at temperature 1: the data of both methods."""
    held_out: int
    """Games every agent is evaluated on, the same ones."""
    rejection: dict[str, Any]
    """Settings of `oreo.train(method="rejection")`."""
    oreo: dict[str, Any]
    """Settings of `oreo.train(method="oreo")`."""


FULL = Size(
    episodes=4000,
    held_out=600,
    rejection={"epochs": 2, "batch_size": 64, "lr": 1e-3},
    oreo={"epochs": 2, "value_warmup_epochs": 1, "batch_size": 64, "lr": 1.5e-3, "value_lr": 1e-3},
)
FAST = Size(
    episodes=640,
    held_out=100,
    rejection={"epochs": 2, "batch_size": 32, "lr": 5e-4},
    # The value model needs its updates before it may choose: after 60 of them best of 5 was worse than no choice.
    oreo={"epochs": 2, "value_warmup_epochs": 4, "batch_size": 32, "lr": 5e-4, "value_lr": 1e-3},
)


@dataclass(frozen=True)
class Contestant:
    """A row of the table."""

    name: str
    title: str
    folder: str
    """What `load_agent` takes, below the output folder; "" for the tiny model."""
    best_of: int = 1

    def agent(self, output: Path) -> str:
        return str(output / self.folder) if self.folder else "tiny"


CONTESTANTS = (
    Contestant("start", "start (tiny LM)", ""),
    Contestant("rejection", "rejection sampling", "rejection"),
    Contestant("oreo", "OREO", "oreo"),
    Contestant(f"oreo_best_of_{BEST_OF}", f"OREO, best of {BEST_OF} by value", "oreo", BEST_OF),
)


def run(output: Path, *, seed: int = 0, fast: bool = False, console: Console) -> dict[str, Any]:
    """Do the main job and print one table.

    Args:
        output: a folder for everything; an interrupted run with the same settings is continued.
        seed: of games, sampling and training.
        fast: a fifth of everything, for a first look and for CI.
        console: where to print.
    Returns:
        What results.json holds.
    Raises:
        UsageError: `output` holds something else; a launcher started several processes.
    """
    one_process("oreo quickstart")
    began = time.monotonic()
    size = FAST if fast else FULL
    claim(output, "quickstart.json", {"seed": seed, "fast": fast})
    _collect(output, size, seed, console)
    for method, settings in (("rejection", size.rejection), ("oreo", size.oreo)):
        _train(output, method, settings, seed, console)
    evaluations = {one.name: _evaluate(output, one, size, seed, console) for one in CONTESTANTS}
    results = {
        "agents": {
            name: {
                key: evaluation.to_dict()[key] for key in ("success", "low", "high", "episodes", "mean_steps", "agent")
            }
            for name, evaluation in evaluations.items()
        },
        "protocol": evaluations["start"].protocol,
        "settings": {"episodes": size.episodes, "rejection": size.rejection, "oreo": size.oreo},
        "seconds": round(time.monotonic() - began, 1),
    }
    write_json(output / "results.json", results)
    _show_episode(evaluations[CONTESTANTS[-1].name].trajectories, console)
    console.print(_table(evaluations))
    _next_steps(output, console)
    return results


def _play(folder: Path, episodes: int, said: str, *, seed: int, console: Console, **how: Any) -> None:
    """Play into a folder until it holds so many; `said` before, with the number that is missing in place of {}."""
    left = still_to_play(folder, episodes, seed=seed)
    missing = sum(len(indices) for _, indices in left)
    if not missing:
        return
    console.print(said.format(missing))
    with Episodes("   episodes", missing) as seen:
        play_left(left, folder, on_episode=seen.one, env=ENV, seed=seed, max_steps=MAX_STEPS, **how)


def _collect(output: Path, size: Size, seed: int, console: Console) -> None:
    """Sample the start model into output/buffer, until it holds `size.episodes`."""
    _play(
        output / "buffer",
        size.episodes,
        "[bold]1[/]  Collecting {} episodes with the tiny LM, in houses for training",
        seed=seed,
        console=console,
        agent="tiny",
        agent_settings={"temperature": 1.0},
        batch_size=256,
        env_kwargs=TRAIN,
    )


def _train(output: Path, method: str, settings: dict[str, Any], seed: int, console: Console) -> None:
    number = 2 if method == "rejection" else 3
    what = "rejection sampling (imitate what was won)" if method == "rejection" else "OREO (policy and value, from all)"
    folder = output / method
    if (folder / "policy" / "config.json").is_file():
        return
    console.print(f"[bold]{number}[/]  Training by {what}")
    with Updates("   updates") as seen:
        train_once(
            [output / "buffer"],
            folder,
            on_step=seen,
            method=method,
            model="tiny",
            seed=seed,
            save_every=50,
            **settings,
        )


def _evaluate(output: Path, one: Contestant, size: Size, seed: int, console: Console) -> Evaluation:
    """Play the held-out games into output/held_out/<name>, as far as they are not there yet."""
    from oreo.eval.evaluate import summarise

    folder = output / "held_out" / one.name
    _play(
        folder,
        size.held_out,
        f"[bold]4[/]  Evaluating on {{}} games in floor plans not trained on: {one.title}",
        seed=seed,
        console=console,
        agent=one.agent(output),
        agent_settings={"best_of": one.best_of, "temperature": TEMPERATURE},
        batch_size=100,
        env_kwargs=HELD_OUT,
    )
    return summarise(played(folder, size.held_out, seed=seed), {"max_steps": MAX_STEPS, "seed": seed})


def _table(evaluations: dict[str, Evaluation]) -> Table:
    from rich.table import Table

    from oreo.eval.evaluate import describe
    from oreo.eval.statistics import percent

    table = Table(
        title=f"Success on held-out floor plans\n{describe(evaluations['start'].protocol)}, sampled at {TEMPERATURE}"
    )
    table.add_column("agent")
    for column in ("success", "95 % interval", "episodes", "steps"):
        table.add_column(column, justify="right")
    for one in CONTESTANTS:
        outcome = evaluations[one.name].overall
        interval = f"{percent(outcome.low)} – {percent(outcome.high)}"
        table.add_row(one.title, percent(outcome.success), interval, str(outcome.episodes), f"{outcome.mean_steps:.1f}")
    return table


def _show_episode(trajectories: tuple[Trajectory, ...], console: Console) -> None:
    """One episode of the best agent with the value of each state: a won one of middling length."""
    from oreo.eval.replay import replay

    won = sorted((trajectory for trajectory in trajectories if trajectory.won), key=len) or list(trajectories)
    console.print("\n[bold]5[/]  One of its episodes, with the candidates and their values\n")
    replay(won[len(won) * 3 // 4], delay=0.3, console=console)


def _next_steps(output: Path, console: Console) -> None:
    console.print(f"\nEverything is in {output}, figures in {output / 'results.json'}. To try next:\n", highlight=False)
    for command in (
        f"oreo watch --agent {output / 'oreo'} --best-of {BEST_OF} --temperature {TEMPERATURE} "
        "--split generated_unseen",
        f"oreo replay {output / 'buffer'} --episode 3",
        f"oreo eval --agent {output / 'oreo'} --temperature {TEMPERATURE} --split generated_unseen --seed 1",
    ):
        console.print(f"  {command}", highlight=False, soft_wrap=True)
