"""The main job on the embedded default: collect, train, evaluate, watch. No download, no GPU, and nothing precomputed
but the tiny language model it starts from, of which each of the two worlds has its own.

    run(Path("runs/quickstart"), WORLDS["oreo/ALFWorld-v0"], seed=0, fast=False, console=Console())

Everything it makes stays under one folder: the buffer, both trained agents, the held-out episodes, results.json.
A finished stage is not done again: call it once more after an interruption and it goes on from there.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo.agents.settings import AgentConfig
from oreo.envs.registry import SHORT_NAMES
from oreo.errors import UsageError
from oreo.experiments.resumable import (
    claim,
    count,
    missing,
    play_missing,
    played,
    refuse_launcher,
    stored_seeds,
    train_once,
)
from oreo.files import write_json
from oreo.progress import Updates
from oreo.rollouts.settings import Rollout

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from oreo.eval.evaluate import Evaluation
    from oreo.trajectory import Trajectory

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


@dataclass(frozen=True)
class Contestant:
    """A row of the table."""

    name: str
    title: str
    folder: str
    """What `load_agent` takes, below the output folder; "" for the model all start from."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Of `load_agent`, beside the temperature."""


@dataclass(frozen=True)
class World:
    """What is played, by whom, and how much of it."""

    env: str
    model: str
    """All start from it."""
    train: dict[str, Any]
    """The environment's arguments where data is collected …"""
    held_out: dict[str, Any]
    """… and where agents are evaluated."""
    max_steps: int
    full: Size
    fast: Size
    chooser: Contestant
    """The last row: OREO's policy, guided by its value model."""
    places: str
    """What data is collected in …"""
    other_places: str
    """… and what agents are evaluated on, as the table calls it."""

    @property
    def contestants(self) -> tuple[Contestant, ...]:
        return (
            Contestant("start", "start (tiny LM)", ""),
            Contestant("rejection", "rejection sampling", "rejection"),
            Contestant("oreo", "OREO", "oreo"),
            self.chooser,
        )

    def agent(self, contestant: Contestant, output: Path) -> str:
        """What `load_agent` takes."""
        return str(output / contestant.folder) if contestant.folder else self.model


ALFWORLD = World(
    env="oreo/ALFWorld-v0",
    model="tiny",
    train={"split": "generated"},
    held_out={"split": "generated_unseen"},
    max_steps=20,  # the explorer needs 15 at most in houses of this size; more would only lengthen what is lost anyway
    full=Size(
        episodes=4000,
        held_out=600,
        rejection={"epochs": 2, "batch_size": 64, "lr": 1e-3},
        # λ and α were chosen on validation games (benchmarks/learning.py, --sweep lambda); the paper has 1 and 0.01.
        oreo={
            **{"epochs": 2, "value_warmup_epochs": 1, "batch_size": 64, "lr": 1.5e-3, "value_lr": 1e-3},
            **{"value_lambda": 0.5, "policy_lambda": 0.5, "alpha": 0.003},
        },
    ),
    fast=Size(
        episodes=640,
        held_out=100,
        rejection={"epochs": 2, "batch_size": 32, "lr": 5e-4},
        # The value model needs its updates before it may choose: after 60 of them best of 5 was worse than no choice.
        oreo={"epochs": 2, "value_warmup_epochs": 4, "batch_size": 32, "lr": 5e-4, "value_lr": 1e-3},
    ),
    chooser=Contestant("oreo_best_of_5", "OREO, best of 5 by value", "oreo", {"choose": "best-of", "k": 5}),
    places="houses for training",
    other_places="held-out floor plans",
)
MATH = World(
    env="oreo/Math-v0",
    model="tiny-math",
    train={"source": "generated", "split": "train"},
    held_out={"source": "generated", "split": "test"},
    max_steps=10,  # the longest worked solution has five lines
    full=Size(
        episodes=4000,
        held_out=600,
        rejection={"epochs": 2, "batch_size": 64, "lr": 3e-4},
        oreo={"epochs": 2, "value_warmup_epochs": 1, "batch_size": 64, "lr": 2e-4, "value_lr": 1e-3},
    ),
    fast=Size(
        episodes=640,
        held_out=200,
        rejection={"epochs": 2, "batch_size": 32, "lr": 3e-4},
        oreo={"epochs": 2, "value_warmup_epochs": 4, "batch_size": 32, "lr": 2e-4, "value_lr": 1e-3},
    ),
    chooser=Contestant("oreo_beam_5", "OREO, 5 beams by value", "oreo", {"choose": "beam", "k": 5}),
    places="problems for training",
    other_places="held-out problems",
)
WORLDS = {world.env: world for world in (ALFWORLD, MATH)}


def world_of(env: str) -> World:
    """The world of an environment, by its name or short name.

    Raises:
        UsageError: it comes with no model to start from.
    """
    world = WORLDS.get(SHORT_NAMES.get(env, env))
    if world is None:
        raise UsageError(
            f"--env {env}: the quickstart is for {' and '.join(SHORT_NAMES)}, which come with a model to start from; "
            "for others there are oreo collect, oreo train and oreo eval"
        )
    return world


def run(
    output: Path, world: World = ALFWORLD, *, seed: int = 0, fast: bool = False, console: Console
) -> dict[str, Any]:
    """Do the main job and print one table.

    Args:
        output: a folder for everything; an interrupted run with the same settings is continued.
        world: what is played.
        seed: of games, sampling and training.
        fast: a fifth of everything, for a first look and for CI.
        console: where to print.
    Returns:
        What results.json holds.
    Raises:
        UsageError: `output` holds something else; a launcher started several processes.
    """
    refuse_launcher("oreo quickstart")
    began = time.monotonic()
    size = world.fast if fast else world.full
    claim(output, "quickstart.json", {"env": world.env, "seed": seed, "fast": fast})
    _collect(output, world, size, seed, console)
    for method, settings in (("rejection", size.rejection), ("oreo", size.oreo)):
        _train(output, world, method, settings, seed, console)
    evaluations = {
        contestant.name: _evaluate(output, world, contestant, size, seed, console) for contestant in world.contestants
    }
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
    _show_episode(evaluations[world.chooser.name].trajectories, console)
    console.print(_table(evaluations, world))
    _next_steps(output, world, console)
    return results


def _collect(output: Path, world: World, size: Size, seed: int, console: Console) -> None:
    """Sample the start model into output/buffer, until it holds `size.episodes`."""
    buffer = output / "buffer"
    lacking = missing(stored_seeds(buffer), size.episodes, seed=seed)
    play_missing(
        lacking,
        Rollout(world.env, world.train, seed, batch_size=256, max_steps=world.max_steps),
        agent=world.model,
        agent_config=AgentConfig(temperature=1.0),
        into=buffer,
        title=f"[bold]1[/]  Collecting {count(lacking)} episodes with the tiny LM, in {world.places}",
        console=console,
    )


def _train(output: Path, world: World, method: str, settings: dict[str, Any], seed: int, console: Console) -> None:
    number = 2 if method == "rejection" else 3
    what = "rejection sampling (imitate what was won)" if method == "rejection" else "OREO (policy and value, from all)"
    folder = output / method
    if (folder / "policy" / "config.json").is_file():
        return
    console.print(f"[bold]{number}[/]  Training by {what}", markup=True)
    with Updates("   updates") as progress:
        train_once(
            [output / "buffer"],
            folder,
            on_step=progress,
            method=method,
            model=world.model,
            seed=seed,
            save_every=50,
            **settings,
        )


def _evaluate(
    output: Path, world: World, contestant: Contestant, size: Size, seed: int, console: Console
) -> Evaluation:
    """Play the held-out games into output/held_out/<name>, as far as they are not there yet."""
    from oreo.eval.evaluate import summarise

    folder = output / "held_out" / contestant.name
    lacking = missing(stored_seeds(folder), size.held_out, seed=seed)
    play_missing(
        lacking,
        Rollout(world.env, world.held_out, seed, batch_size=100, max_steps=world.max_steps),
        agent=world.agent(contestant, output),
        agent_config=AgentConfig(temperature=TEMPERATURE, **contestant.settings),
        into=folder,
        title=f"[bold]4[/]  Evaluating on {count(lacking)} games, {world.other_places}: {contestant.title}",
        console=console,
    )
    return summarise(played(folder, size.held_out, seed=seed), {"max_steps": world.max_steps, "seed": seed})


def _table(evaluations: dict[str, Evaluation], world: World) -> Table:
    from rich.table import Table

    from oreo.eval.evaluate import describe
    from oreo.eval.statistics import percent

    protocol = describe(evaluations["start"].protocol)
    table = Table(title=f"Success on {world.other_places}\n{protocol}, sampled at {TEMPERATURE}")
    table.add_column("agent")
    for column in ("success", "95 % interval", "episodes", "steps"):
        table.add_column(column, justify="right")
    for contestant in world.contestants:
        rate = evaluations[contestant.name].overall
        interval = f"{percent(rate.low)} – {percent(rate.high)}"
        episodes, steps = str(rate.episodes), f"{rate.mean_steps:.1f}"
        table.add_row(contestant.title, percent(rate.success), interval, episodes, steps)
    return table


def _show_episode(trajectories: tuple[Trajectory, ...], console: Console) -> None:
    """One episode of the best agent with the value of each state: a won one of middling length."""
    from oreo.eval.terminal.replay import replay

    won = sorted((trajectory for trajectory in trajectories if trajectory.won), key=len) or list(trajectories)
    console.print("\n[bold]5[/]  One of its episodes, with the candidates and their values\n", markup=True)
    replay(won[len(won) * 3 // 4], delay=0.3, console=console)


def _next_steps(output: Path, world: World, console: Console) -> None:
    console.print(
        f"\nEverything is in {output}, figures in {output / 'results.json'}. To try next:\n",
        markup=False,
        highlight=False,
    )
    agent = f"--env {_short_name(world.env)} --agent {output / 'oreo'} --temperature {TEMPERATURE}"
    split = f"--split {world.held_out['split']}"
    options = " ".join(f"--{name} {value}" for name, value in world.chooser.settings.items())
    for command in (
        f"oreo watch {agent} {options} {split}",
        f"oreo replay {output / 'buffer'} --episode 3",
        f"oreo eval {agent} {split} --seed 1",
    ):
        console.print(f"  {command}", markup=False, highlight=False, soft_wrap=True)


def _short_name(env: str) -> str:
    return next(short for short, name in SHORT_NAMES.items() if name == env)
