"""`oreo play`: a person plays an episode."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from oreo.cli.help import ENVIRONMENT
from oreo.cli.option_groups import with_option_groups
from oreo.cli.options import EnvOptions, Seed
from oreo.cli.output import on_interrupt
from oreo.cli.playing import StepTimeout
from oreo.cli.screens import CastFile, Plain, Record, has_program, needs_program
from oreo.errors import UsageError


@with_option_groups
def play(
    *,
    game: Annotated[
        str | None, typer.Option(help="Which game; default: drawn from the seed.", rich_help_panel=ENVIRONMENT)
    ] = None,
    world: EnvOptions,
    step_timeout: StepTimeout = None,
    seed: Seed = 0,
    record: Record = None,
    plain: Plain = False,
    cast: CastFile = None,
) -> None:
    """Play an episode yourself, and keep it as a demonstration.

    Tab completes what the game accepts, ↓ chooses. Without a terminal: a line of standard input is an action, ? lists
    what the game accepts.

    \b
    Example:
      oreo play --split generated --record runs/demonstrations
    """
    from oreo.data.buffer import TrajectoryBuffer, check_place
    from oreo.eval.terminal.live.messages import Job

    if record is not None:
        check_place(record)
    if cast is not None:
        needs_program("--cast")
    job = Job(
        env=world.env,
        env_kwargs=world.arguments(),
        max_steps=world.max_steps,
        seed=seed,
        game=game,
        step_timeout=step_timeout,
        record=None if record is None else str(record.expanduser().absolute()),
    )
    with on_interrupt(lambda: "stopped; an episode that has not ended is not kept"):
        if has_program(plain):
            from oreo.eval.terminal.app.doors import live

            live([job], delay=0.5, playing=False, person=True, cast=cast)
            return
        if sys.stdin is None:
            raise UsageError("oreo play reads actions from standard input, which is closed")
        from oreo.console import Console
        from oreo.eval.terminal.play import play as run

        played = run(job, Console(), sys.stdin.readline)
        if record is None:
            return
        if played is None:
            print(f"the episode had not ended and is not in {record}", file=sys.stderr)
            return
        with TrajectoryBuffer(record) as buffer:
            buffer.append(played)
