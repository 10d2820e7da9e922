"""`oreo replay`: see a stored episode again."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from oreo.cli.options import (
    Delay,
    Paused,
    Where,
    existing_buffer,
)
from oreo.cli.output import on_interrupt
from oreo.errors import UsageError


def replay(
    buffer: Annotated[Path, typer.Argument(help="The buffer.")],
    episode: Annotated[int, typer.Option(help="Which one, from 0; -1 is the last.")] = 0,
    where: Where = None,
    delay: Delay = 0.5,
    step: Paused = False,
) -> None:
    """See a stored episode again.

    \b
    Keys: → or n next step, ← or p back, space pause, q quit. Without a terminal: plain lines.
    Example:
      oreo replay runs/kitchen --episode 3
      oreo replay runs/kitchen --where "not won and steps < 10"
    """
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.eval.terminal.replay import replay as run

    with TrajectoryBuffer(existing_buffer(buffer), create=False) as stored:
        meant = stored.where(where or "")
        count = len(meant)
        if not -count <= episode < count:
            which = "such episodes" if where else "episodes"
            numbers = f", 0 to {count - 1}" if count else ""
            raise UsageError(f"--episode {episode}: {buffer} holds {count} {which}{numbers}")
        trajectory = meant[episode]
    with on_interrupt(lambda: f"stopped; {buffer} is as it was"):
        run(trajectory, delay=delay, paused=step)
