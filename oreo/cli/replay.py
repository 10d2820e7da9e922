"""`oreo replay`: see a stored episode again."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oreo.cli.option_groups import with_option_groups
from oreo.cli.options import (
    AgentOptions,
    Delay,
    Paused,
    Where,
    existing_buffer,
)
from oreo.cli.output import on_interrupt
from oreo.cli.screens import CastFile, GoesOn, Plain, Record, TrustedEnv, has_program, needs_program, stored_job
from oreo.errors import UsageError

if TYPE_CHECKING:
    from oreo.trajectory import Trajectory


@with_option_groups
def replay(
    buffer: Annotated[Path, typer.Argument(help="The buffer.")],
    *,
    episode: Annotated[int, typer.Option(help="Which one, from 0; -1 is the last.")] = 0,
    where: Where = None,
    pair: Annotated[
        Path | None,
        typer.Option(
            metavar="BUFFER", help="Beside it, in step, an episode of the same game in this buffer.", show_default=False
        ),
    ] = None,
    agent: GoesOn = None,
    playing: AgentOptions,
    env: TrustedEnv = None,
    record: Record = None,
    delay: Delay = 0.5,
    step: Paused = False,
    plain: Plain = False,
    cast: CastFile = None,
) -> None:
    """See a stored episode again, step by step, and go on from any of its steps.

    Keys: ? lists them. Without a terminal: plain lines.

    \b
    Example:
      oreo replay runs/kitchen --episode 3
      oreo replay runs/kitchen --where "not won and steps < 10"
    """
    from oreo.data.buffer import TrajectoryBuffer, check_place
    from oreo.eval.terminal.replay import replay as run

    with TrajectoryBuffer(existing_buffer(buffer), create=False) as stored:
        meant = stored.where(where or "")
        count = len(meant)
        if not -count <= episode < count:
            which = "such episodes" if where else "episodes"
            numbers = f", 0 to {count - 1}" if count else ""
            raise UsageError(f"--episode {episode}: {buffer} holds {count} {which}{numbers}")
        trajectory = meant[episode]
        beside = None if pair is None else _same_game(trajectory, pair)
        config = {} if agent is None else dataclasses.asdict(playing.acting_config(agent))
        if record is not None:
            check_place(record)
        with on_interrupt(lambda: f"stopped; {buffer} is as it was"):
            if beside is not None:
                needs_program("--pair")
            if cast is not None:
                needs_program("--cast")
            if not has_program(plain):
                return run(trajectory, delay=delay, paused=step)
            from oreo.eval.terminal.app import doors
            from oreo.eval.terminal.shelf import Shelf

            job = stored_job(env, agent, config, record)
            if beside is not None:
                return doors.pair([trajectory, beside], job=job, delay=delay, playing=not step, cast=cast)
            rows = list(meant.fixed().numbered("won"))
            shelf = Shelf(stored, [number for number, _ in rows], [won for _, (won,) in rows])
            doors.replay(shelf, episode % count, job=job, delay=delay, playing=not step, cast=cast)


def _same_game(trajectory: Trajectory, buffer: Path) -> Trajectory:
    """The first episode of the same game in another buffer.

    Raises:
        UsageError: it holds none.
    """
    from oreo.data.buffer import TrajectoryBuffer
    from oreo.data.filter_words import GAME
    from oreo.data.selection import game_of, game_of_columns

    with TrajectoryBuffer(existing_buffer(buffer), create=False) as other:
        wanted = game_of(trajectory)
        for number, columns in other.where("").numbered(*GAME):
            if game_of_columns(*columns) == wanted:
                return other[number]
    raise UsageError(f"--pair {buffer}: it holds no episode of the game {trajectory.game or trajectory.task!r}")
