"""What commands share that play in environments of others: what these print, and what becomes of their errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from enum import Enum
from typing import Annotated

import typer

from oreo.cli.help import ENVIRONMENT
from oreo.errors import EngineError, OreoError
from oreo.progress import print_error

SHOWN = 5
"""Errors of environments that get a line each; more are counted."""


class OnError(str, Enum):
    """What an environment's error costs."""

    stop = "stop"
    """All that is under way; what had ended stays."""
    skip = "skip"
    """Its episode."""


OnErrorOption = Annotated[
    OnError,
    typer.Option(help="An environment's error ends everything (stop), or its episode, which is left out (skip)."),
]

StepTimeout = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        help="Seconds that the environment may take for a step or a reset, or its episode has failed. Default: any.",
        rich_help_panel=ENVIRONMENT,
    ),
]


class Failures:
    """Environments' errors while a command plays."""

    def __init__(self, on_error: OnError, patience: int) -> None:
        """Args:
        patience: errors that may follow each other without an episode ending well; more of them are no accident.
        """
        self.on_error, self.patience = on_error, patience
        self.count = 0
        self.in_a_row = 0

    def __call__(self, error: OreoError) -> None:
        """Say it and go on.

        Raises:
            OreoError: one was not to be skipped, or there are too many.
        """
        self.count += 1
        self.in_a_row += 1
        if self.on_error is OnError.stop:
            raise type(error)(f"{error}; with --on-error skip it would cost its episode only") from error
        if self.in_a_row > self.patience:
            raise EngineError(f"{self.in_a_row} episodes failed one after the other, the last so: {error}") from error
        if self.count <= SHOWN:
            print_error(f"{error}; this episode is left out")
        elif self.count == SHOWN + 1:
            print_error("more episodes fail; from here on they are counted only")
        self.last = error

    def passed(self) -> None:
        """An episode ended well."""
        self.in_a_row = 0

    def check(self, ended: int) -> None:
        """At the end, with the number of episodes that ended well.

        Raises:
            OreoError: all failed; the last one's error.
        """
        if self.count and not ended:
            raise EngineError(f"no episode ended without an error, the last so: {self.last}") from self.last


def patience(batch_size: int, workers: int = 1) -> int:
    """Errors in a row to put up with: those that fail early come first, before any that begin with them can end."""
    return 10 + 2 * batch_size * workers


@contextmanager
def stdout_kept() -> Iterator[None]:
    """Whatever prints in the block prints to standard error, below Python too and in processes that it starts:
    standard output is for the command's result."""
    with suppress(OSError, ValueError, AttributeError):  # closed, or no file
        sys.stdout.flush()
    try:
        saved = os.dup(1)
    except OSError:  # closed: nothing can be spoiled
        yield
        return
    try:
        with suppress(OSError):
            os.dup2(2, 1)
        with redirect_stdout(sys.stderr):
            yield
    finally:
        os.dup2(saved, 1)
        os.close(saved)
