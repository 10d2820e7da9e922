"""`oreo train`: train on a buffer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from oreo.cli.help import TRAINING
from oreo.cli.options import (
    Json,
    Recipe,
    Where,
    existing_buffer,
    other_fields,
)
from oreo.cli.output import on_interrupt, print_json, print_pairs
from oreo.progress import Updates, is_main_process, main_metrics
from oreo.training.methods.registry import METHODS


def train(
    buffer: Annotated[Path, typer.Argument(help="The buffer to learn from.")],
    output: Annotated[Path, typer.Option(help="A new folder for the models, the log and the checkpoint.")],
    method: Annotated[
        str | None,
        typer.Option(
            help=f"{', '.join(METHODS)}, or your own as path/to/file.py:NAME; default: the recipe's, else oreo.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    recipe: Recipe = None,
    model: Annotated[
        str, typer.Option(help="What to start from: tiny, tiny-math, a folder or a Hub name.", rich_help_panel=TRAINING)
    ] = "tiny",
    epochs: Annotated[int | None, typer.Option(help="Passes over the buffer.", rich_help_panel=TRAINING)] = None,
    batch_size: Annotated[
        int | None, typer.Option(help="Trajectories (or pairs of them) for one update.", rich_help_panel=TRAINING)
    ] = None,
    lr: Annotated[
        float | None, typer.Option(help="Peak learning rate of the policy.", rich_help_panel=TRAINING)
    ] = None,
    value_lr: Annotated[
        float | None, typer.Option(help="Peak learning rate of the value model.", rich_help_panel=TRAINING)
    ] = None,
    beta: Annotated[
        float | None, typer.Option(help="Weight of the log-ratio to the starting model.", rich_help_panel=TRAINING)
    ] = None,
    alpha: Annotated[
        float | None, typer.Option(help="Weight of the KL to the starting model.", rich_help_panel=TRAINING)
    ] = None,
    level: Annotated[
        str | None,
        typer.Option(
            help="What one action is: token, step or response.", rich_help_panel=TRAINING, metavar="token|step|response"
        ),
    ] = None,
    value_lambda: Annotated[
        float | None,
        typer.Option(
            help="Target of the value: 1 the episode's end (the paper), 0 the next turn's value, or between.",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    policy_lambda: Annotated[
        float | None, typer.Option(help="The same of the policy's target.", rich_help_panel=TRAINING)
    ] = None,
    reward: Annotated[
        str | None,
        typer.Option(
            help="What is paid: stored, success (1, 0) or signed (1, -1).",
            rich_help_panel=TRAINING,
            metavar="stored|success|signed",
        ),
    ] = None,
    where: Where = None,
    samples_per_game: Annotated[
        int | None, typer.Option(help="Episodes of each game, at most.", rich_help_panel=TRAINING)
    ] = None,
    balance: Annotated[
        str | None,
        typer.Option(
            help="Equal numbers of won and lost: none, game or all.", rich_help_panel=TRAINING, metavar="none|game|all"
        ),
    ] = None,
    pairs_per_game: Annotated[
        int | None,
        typer.Option(help="Pairs of a won and a lost episode of each game, at most.", rich_help_panel=TRAINING),
    ] = None,
    lora_r: Annotated[
        int | None,
        typer.Option(
            "--lora", help="Rank of LoRA adapters to train in place of all weights.", rich_help_panel=TRAINING
        ),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any other field of oreo.training.config.TrainConfig (repeatable).",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(
            help="Log to tensorboard, wandb or trackio as well (repeatable).", metavar="tensorboard|wandb|trackio"
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the order of the data, and of what is selected of it.")] = 0,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on where an interrupted run stopped, if there is one.")
    ] = False,
    json: Json = False,
) -> None:
    """Train on a buffer.

    A policy, and with --method oreo or dqo a value model. Defaults are the paper's for ALFWorld; for a small model such
    as tiny, methods oreo, rejection and sft take those of recipe small-METHOD, unless one of these is given. --recipe
    names others, which single settings go before.

    \b
    Example:
      oreo train runs/kitchen --model tiny --output checkpoints/kitchen
    """
    named = {
        "method": method,
        "model": model,
        "seed": seed,
        "epochs": epochs,
        "batch_size": batch_size,
        "lr": lr,
        "value_lr": value_lr,
        "beta": beta,
        "alpha": alpha,
        "level": level,
        "value_lambda": value_lambda,
        "policy_lambda": policy_lambda,
        "reward": reward,
        "where": where,
        "samples_per_game": samples_per_game,
        "balance": balance,
        "pairs_per_game": pairs_per_game,
        "lora_r": lora_r,
        "recipe": recipe,
        "trackers": track or None,
    }
    settings = other_fields(setting, named) | named
    existing_buffer(buffer)  # before seconds go by for torch
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.training.devices import disconnect
    from oreo.training.trainer import train as run

    checked: dict[str, Any] = {}
    with Updates("training") as seen:

        def on_step(line: dict[str, Any]) -> None:
            checked.update({name: line[name] for name in line if name.startswith("self_check")})
            seen(line)

        def message() -> str:
            return f"stopped after update {seen.done} of {seen.total or '?'}; the same command with --resume goes on"

        with on_interrupt(message), TrajectoryBuffer(buffer, create=False) as stored:
            result: Any = run(stored, output=output, resume=resume, on_step=on_step, **settings)
    disconnect()
    if not is_main_process():
        return
    if json:
        print_json(vars(result) | checked)
    else:
        made = {name: value for name, value in vars(result).items() if name != "metrics"}
        print_pairs(made | checked | main_metrics(result.metrics) | {"log": output / "log.jsonl"})
