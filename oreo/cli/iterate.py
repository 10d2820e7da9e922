"""`oreo iterate`: collect, train, evaluate, again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from oreo.cli.help import DECODING, ENVIRONMENT, TRAINING
from oreo.cli.option_groups import with_option_groups
from oreo.cli.options import (
    DEFAULT_ENV,
    AgentArg,
    BatchSize,
    Device,
    EnvOptions,
    Json,
    Recipe,
    Seed,
    Workers,
    agent_settings,
    other_fields,
)
from oreo.cli.output import on_interrupt, print_json, result_console
from oreo.cli.playing import stdout_kept
from oreo.errors import UsageError


@with_option_groups
def iterate(
    *,
    output: Annotated[Path, typer.Option(help="Folder for everything; the same command goes on in it.")],
    rounds: Annotated[int, typer.Option(min=1, help="How many; more may be asked for later.")] = 3,
    episodes: Annotated[int, typer.Option(min=1, help="Collected in each round.")] = 500,
    held_out: Annotated[
        int | None, typer.Option(min=1, help="Games to evaluate on; default: all of a real split, else 200.")
    ] = None,
    world: EnvOptions,
    held_out_split: Annotated[
        str | None, typer.Option(help="Which games are held out: valid_unseen, …", rich_help_panel=ENVIRONMENT)
    ] = None,
    model: Annotated[
        str, typer.Option(help="What to start from: tiny, tiny-math, a folder or a Hub name.", rich_help_panel=TRAINING)
    ] = "tiny",
    recipe: Recipe = None,
    method: Annotated[str | None, typer.Option(help="As for `oreo train`.", rich_help_panel=TRAINING)] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="KEY=VALUE",
            help="Any other field of oreo.training.config.TrainConfig (repeatable).",
            rich_help_panel=TRAINING,
        ),
    ] = None,
    reference: Annotated[
        str,
        typer.Option(
            help="Each round starts from, and keeps close to: previous (round) or start (model).",
            rich_help_panel=TRAINING,
            metavar="previous|start",
        ),
    ] = "previous",
    per_game: Annotated[int | None, typer.Option(min=1, help="Episodes of each game; default: 1.")] = None,
    temperature: Annotated[
        float | None, typer.Option(help="Of collecting; default: 1.", rich_help_panel=DECODING)
    ] = None,
    eval_temperature: Annotated[
        float, typer.Option(help="Of evaluating; 0 is greedy.", rich_help_panel=DECODING)
    ] = 0.0,
    batch_size: BatchSize = 32,
    workers: Workers = 1,
    device: Device = None,
    agent_arg: AgentArg = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Collect, train, evaluate, again.

    Each round plays with the policy of the round before, trains on the episodes of all rounds and plays the held-out
    games. Everything is kept, and the same command goes on wherever it was stopped.

    \b
    Example:
      oreo iterate --output runs/rounds --rounds 3 --episodes 500 --held-out 200 --max-steps 20 --set lr=1e-3
    """
    from oreo.console import Console
    from oreo.experiments.iterate import iterate as run
    from oreo.experiments.iterate import render

    if world.env == DEFAULT_ENV and world.split is None:
        world, held_out_split = replace(world, split="generated"), held_out_split or "generated_unseen"
    if world.split is not None and held_out_split is None:
        raise UsageError(f"--split {world.split}: say which games are held out, such as --held-out-split valid_unseen")
    training = other_fields(setting, ("recipe", "method", "model", "seed")) | {"recipe": recipe, "method": method}
    message = f"stopped; what was finished is in {output}, and the same command goes on from there"
    with on_interrupt(lambda: message), stdout_kept():
        results = run(
            output,
            rounds=rounds,
            episodes=episodes,
            env=world.env,
            env_kwargs=world.arguments(),
            held_out=held_out,
            held_out_kwargs={} if held_out_split is None else {"split": held_out_split},
            model=model,
            reference=reference,
            per_game=per_game,
            max_steps=world.max_steps,
            temperature=temperature,
            eval_temperature=eval_temperature,
            agent_settings=agent_settings(agent_arg, device=device),
            batch_size=batch_size,
            workers=workers,
            seed=seed,
            training=training,
            console=Console(stderr=True),
        )
    if json:
        print_json(results)
    else:
        result_console().print(render(results))
