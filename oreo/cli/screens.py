"""Whether there is a screen to draw on, and what commands share that draw on it."""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from oreo.cli.help import AGENT
from oreo.errors import MissingExtra

if TYPE_CHECKING:
    from oreo.console import Console
    from oreo.eval.terminal.live.messages import Job
    from oreo.trajectory import Trajectory

Plain = Annotated[bool, typer.Option("--plain", help="Print lines of text, as without a terminal.")]
Record = Annotated[
    Path | None,
    typer.Option(metavar="BUFFER", help="Keep the episodes that end here in this buffer.", show_default=False),
]
CastFile = Annotated[
    Path | None,
    typer.Option(
        "--cast", metavar="FILE", help="Record the session in the terminal as an asciinema cast.", show_default=False
    ),
]
GoesOn = Annotated[
    str | None,
    typer.Option(
        "--agent",
        help="Who goes on from a step of a stored episode (key u), and reads its turns token by token (key t).",
        rich_help_panel=AGENT,
        show_default=False,
    ),
]
TrustedEnv = Annotated[
    str | None,
    typer.Option(
        "--env",
        help="Play stored episodes again in this environment; needed where theirs is a file.py:Class, which is run.",
        show_default=False,
    ),
]
_INSTALL = "pip install 'oreo-agents[tui]'"


def has_terminal() -> bool:
    """Whether somebody sits at both ends of a terminal that can be drawn on."""
    try:
        both = sys.stdin.isatty() and sys.stdout.isatty()
    except (AttributeError, ValueError):  # closed
        return False
    return both and os.environ.get("TERM", "") not in ("dumb", "")


def has_program(plain: bool) -> bool:
    """Whether the terminal program is to be started: there is a terminal, textual, and nobody asked for plain lines."""
    return not plain and has_terminal() and importlib.util.find_spec("textual") is not None


def line_console(plain: bool) -> Console | None:
    """Where lines are printed that somebody asked for; None: wherever, as the terminal allows."""
    from oreo.console import Console

    return Console(force_terminal=False) if plain else None


def needs_program(what: str) -> None:
    """Refuse what only the terminal program can do.

    Raises:
        MissingExtra: textual is not installed, or there is no terminal.
    """
    if importlib.util.find_spec("textual") is None:
        raise MissingExtra(f"{what} needs textual: {_INSTALL}")
    if not has_terminal():
        raise MissingExtra(f"{what} needs a terminal to draw on; oreo replay prints episodes as text")


def stored_job(
    env: str | None, agent: str | None, config: dict[str, object], record: Path | None
) -> Callable[[Trajectory | None], Job]:
    """What the process is to play that goes on from a stored episode; refuses environments that nobody named."""
    from oreo.data.records import to_record
    from oreo.eval.terminal.live.messages import Job
    from oreo.rollouts.verify import trusted_environment

    def job(trajectory: Trajectory | None) -> Job:
        assert trajectory is not None
        return Job(
            env=trusted_environment(trajectory, env),
            agent=agent,
            config=config,
            record=None if record is None else str(record.expanduser().absolute()),
            stored=to_record(trajectory),
        )

    return job
