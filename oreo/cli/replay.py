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
from oreo.cli.screens import (
    CastFile,
    GoesOn,
    Plain,
    Record,
    TrustedEnv,
    has_program,
    line_console,
    needs_program,
    stored_job,
)
from oreo.errors import UsageError

if TYPE_CHECKING:
    from oreo.eval.terminal.shelf import Shelf


@with_option_groups
def replay(
    buffer: Annotated[Path, typer.Argument(help="The buffer.")],
    *,
    episode: Annotated[
        int | None, typer.Option(help="Which one, from 0; -1 is the last. Default: 0.", show_default=False)
    ] = None,
    where: Where = None,
    pair: Annotated[
        Path | None,
        typer.Option(
            metavar="BUFFER",
            help="Beside each, in step, the episode of the same game in this buffer; n goes to the next game that one "
            "won and the other lost.",
            show_default=False,
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
        number = episode or 0
        if not -count <= number < count:
            which = "such episodes" if where else "episodes"
            numbers = f", 0 to {count - 1}" if count else ""
            raise UsageError(f"--episode {number}: {buffer} holds {count} {which}{numbers}")
        config = {} if agent is None else dataclasses.asdict(playing.acting_config(agent))
        if record is not None:
            check_place(record)
        if pair is not None:
            existing_buffer(pair)
        for option, given in (("--pair", pair), ("--cast", cast)):
            if given is not None:
                needs_program(option)
        with on_interrupt(lambda: f"stopped; {buffer} is as it was"):
            if not has_program(plain):
                return run(meant[number], delay=delay, paused=step, console=line_console(plain))
            from oreo.eval.terminal.app import doors
            from oreo.eval.terminal.shelf import of_view, pairs

            shelf, place = of_view(meant), number % count
            if pair is not None:
                wanted = None if episode is None else shelf.numbers[place][0]
                shelf = pairs(meant, TrajectoryBuffer(pair, create=False))
                place = _place(shelf, wanted, pair)
            doors.replay(
                shelf,
                place,
                job=stored_job(env, agent, config, record),
                delay=delay,
                playing=not step and pair is None,
                cast=cast,
            )


def _place(shelf: Shelf, number: int | None, pair: Path) -> int:
    """Where an episode stands among the pairs; None: the first place.

    Raises:
        UsageError: nothing has the same game.
    """
    place = next((place for place, (own, _) in enumerate(shelf.numbers) if number in (None, own)), None)
    if place is None:
        which = "any of these games" if number is None else f"the game of episode {number}"
        raise UsageError(f"--pair {pair}: it holds no episode of {which}")
    return place
