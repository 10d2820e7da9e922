"""`oreo quickstart`: the main job on the embedded default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oreo.cli.options import (
    Seed,
)
from oreo.cli.output import on_interrupt


def quickstart(
    output: Annotated[
        Path | None,
        typer.Option(help="Folder for everything it makes.", show_default="runs/quickstart, or runs/quickstart-math"),
    ] = None,
    env: Annotated[
        str, typer.Option(metavar="alfworld|math", help="Generated houses, or generated problems.")
    ] = "alfworld",
    seed: Seed = 0,
    fast: Annotated[bool, typer.Option("--fast", help="Two minutes instead of ten; learns less.")] = False,
) -> None:
    """The main job on an embedded model.

    Collects, trains, evaluates on what was held out and shows an episode. No download, no GPU.

    \b
    Example:
      oreo quickstart --fast --output /tmp/quickstart
      oreo quickstart --env math
    """
    from oreo.console import Console
    from oreo.experiments.quickstart import ALFWORLD, run, world_of

    world = world_of(env)
    folder = output or Path("runs/quickstart" if world is ALFWORLD else "runs/quickstart-math")
    with on_interrupt(lambda: f"stopped; what was finished is in {folder}, and the same command goes on from there"):
        run(folder, world, seed=seed, fast=fast, console=Console())
