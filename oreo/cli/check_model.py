"""`oreo check-model`: is a model the same in acting and in training?"""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from oreo.cli.option_groups import with_option_groups
from oreo.cli.options import Device, EnvOptions, Json, Seed
from oreo.cli.output import on_interrupt, print_json, print_pairs
from oreo.cli.playing import stdout_kept
from oreo.progress import Progress


@with_option_groups
def check_model(
    *,
    model: Annotated[str, typer.Argument(help="tiny, tiny-math, a folder or a Hub name.")],
    world: EnvOptions,
    episodes: Annotated[int, typer.Option(min=1, help="That it plays.")] = 8,
    tolerance: Annotated[
        float | None, typer.Option(min=0.0, help="Nats that a turn may be off on average.", show_default="0.05")
    ] = None,
    dtype: Annotated[
        str | None, typer.Option(metavar="float32|bfloat16|float16", help="What it computes in; default: float32.")
    ] = None,
    device: Device = None,
    seed: Seed = 0,
    json: Json = False,
) -> None:
    """Let a model play, then score what it said as training does: it has to be as likely as it was.

    With a cache and without, alone, padded, packed, and where old turns leave a short window. What is apart tells of
    templates, padding, positions, caches or windows that are not the same in acting and in training. Exit code 1 where
    something is.

    \b
    Example:
      oreo check-model tiny
      oreo check-model Qwen/Qwen2.5-0.5B-Instruct --env math
    """
    from oreo.experiments.check_model import check_model as check

    loading = {name: value for name, value in (("dtype", dtype), ("device", device)) if value is not None}
    with Progress(f"checking {model}", 5) as progress, stdout_kept(), on_interrupt(lambda: "stopped"):
        result = check(
            model,
            env=world.env,
            env_kwargs=world.arguments(),
            episodes=episodes,
            max_steps=world.max_steps or 12,
            seed=seed,
            tolerance=tolerance,
            on_way=lambda name: progress.to(progress.done + 1, note=name),
            **loading,
        )
    if json:
        print_json({**asdict(result), "agrees": result.agrees})
    else:
        ways = {way.name: f"off by {way.mean:.2g} nats, {way.largest:.2g} at most" for way in result.ways}
        print_pairs(
            {
                "model": result.model,
                "episodes": result.episodes,
                "turns": result.turns,
                "of other tokens than their text": result.drifted,
                "cut": result.cut,
                **ways,
                **{f"{name}, not tried": reason for name, reason in result.left_out.items()},
                "agrees": f"{'yes' if result.agrees else 'no'} (tolerance {result.tolerance:g})",
            }
        )
    if not result.agrees:
        raise typer.Exit(1)
