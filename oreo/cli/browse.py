"""`oreo browse`: a buffer's episodes as a list."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

import typer

from oreo.cli.option_groups import with_option_groups
from oreo.cli.options import AgentOptions, Delay, Where, existing_buffer
from oreo.cli.output import on_interrupt
from oreo.cli.screens import CastFile, GoesOn, Record, TrustedEnv, needs_program, stored_job


@with_option_groups
def browse(
    buffer: Annotated[Path, typer.Argument(help="The buffer.")],
    *,
    where: Where = None,
    agent: GoesOn = None,
    playing: AgentOptions,
    env: TrustedEnv = None,
    record: Record = None,
    delay: Delay = 0.5,
    cast: CastFile = None,
) -> None:
    """List a buffer's episodes: sort, filter, search, read.

    \b
    Example:
      oreo browse runs/kitchen --where "not won"
    """
    from oreo.data.buffer import TrajectoryBuffer, check_place

    existing_buffer(buffer)
    needs_program("oreo browse")
    if record is not None:
        check_place(record)
    config = {} if agent is None else dataclasses.asdict(playing.acting_config(agent))
    with TrajectoryBuffer(buffer, create=False) as stored:
        stored.where(where or "")
        from oreo.eval.terminal.app.doors import browse as run

        with on_interrupt(lambda: f"stopped; {buffer} is as it was"):
            run(stored, condition=where or "", job=stored_job(env, agent, config, record), delay=delay, cast=cast)
