"""Progress of long work, and one-line complaints, on standard error."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oreo.errors import OreoError
from oreo.text import clean, one_line, short_words

if TYPE_CHECKING:
    from typing_extensions import Self

    from oreo.trajectory import Trajectory


_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_UNTIL_STEPS = 5.0
"""Without an episode that ends, until steps are shown in place of success."""


_SHOWN_METRICS = ("nll", "residual", "margin", "accuracy", "kl", "auc_start", "auc_middle", "tokens_per_second")
"""Beside the losses, which are what ends in "_loss", of any method."""


def is_main_process() -> bool:
    """False in all but one of several processes that a launcher started; those keep silent."""
    return os.environ.get("RANK", "0") == "0"


def print_error(message: str) -> None:
    """Print `oreo: …` on standard error, in one line and without endless words, whatever the message holds."""
    with contextlib.suppress(OSError):  # standard error itself may be full, or its reader gone
        print(f"oreo: {short_words(one_line(message))}", file=sys.stderr)


@contextmanager
def reported(stopped: str) -> Iterator[None]:
    """End a script with one line and an exit code where the block raises what the user can mend, or is stopped.

    Args:
        stopped: the line after Ctrl-C, which says what is kept.
    """
    try:
        yield
    except OreoError as error:
        print_error(str(error))
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print_error(stopped)
        raise SystemExit(130) from None


class Progress:
    """Shows on standard error how far something is: a bar on a terminal, elsewhere a line now and then.

    with Progress("writing", 20) as progress:
        progress.to(1, note="")
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed
        from rich.progress import TimeRemainingColumn as Remaining

        from oreo.console import Console

        self.what, self.total, self.done = what, total, 0
        self._last_line = time.monotonic()
        console = Console(stderr=True)
        title, note = (TextColumn(f"{{task.{field}}}", markup=False) for field in ("description", "fields[note]"))
        columns = (SpinnerColumn(), title, BarColumn(bar_width=20), MofNCompleteColumn())
        self._bar = _bar(
            *(*columns, Elapsed(), Remaining(compact=True), note),
            console=console,
            disable=not (console.is_terminal and is_main_process()),
            transient=True,
        )
        self._task = self._bar.add_task(clean(what), total=total, note="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._bar.stop()

    def to(self, done: int, *, total: int | None = None, note: str = "") -> None:
        """Show that `done` of `total` are done."""
        self.done, self.total = done, total or self.total
        self._bar.update(self._task, completed=done, total=self.total, note=one_line(note))
        if self._bar.disable and time.monotonic() - self._last_line > _SECONDS_BETWEEN_LINES:
            self._last_line = time.monotonic()
            of = f" of {self.total}" if self.total is not None else ""
            print(f"{clean(self.what)}: {done}{of} {one_line(note)}".rstrip(), file=sys.stderr, flush=True)


def _bar(*columns: Any, **settings: Any) -> Any:
    """A bar of rich's with room for something `below` it. (A function, since rich is imported when it is needed.)"""
    from rich.progress import Progress as Bar

    class BarAndMore(Bar):
        below: Any = None

        def get_renderables(self) -> Iterator[Any]:
            yield from super().get_renderables()
            if self.below is not None:
                yield self.below

    return BarAndMore(*columns, **settings)


class Episodes(Progress):
    """Counts episodes and how many of them were won: `oreo.rollout(..., on_episode=seen)`.

    While some are still played, a success rate would mislead: those that are won end early, so that the first to end
    are won more often than all. Until then it is said of what it counts; the rate comes with the last episode.
    """

    won = 0
    step_count = 0
    _done_before, _quiet_since = 0, 0.0

    def steps(self, count: int) -> None:
        """Count steps that were taken: where no episode ends for a while, they are what shows that it goes on."""
        self.step_count += count
        if self.done != self._done_before:
            self._done_before, self._quiet_since = self.done, time.monotonic()
        elif time.monotonic() - self._quiet_since > _SECONDS_UNTIL_STEPS:
            self.to(self.done, note=f"{self.step_count:,} steps")

    def __call__(self, trajectory: Trajectory) -> None:
        self.count(trajectory.won)

    def count(self, won: bool) -> None:
        """Count one episode that has ended."""
        self.won += won
        ended = self.done + 1
        all_ended = self.total is not None and ended >= self.total
        note = f"won {self.won / ended:.0%}" if all_ended else f"won {self.won} of the {ended} that ended first"
        self.to(ended, note=note)


class Updates(Progress):
    """Follows training: `oreo.train(..., on_step=seen)`. On a terminal all that is logged stands below the bar."""

    def __call__(self, line: dict[str, Any]) -> None:
        from rich.columns import Columns

        if self._bar.disable:
            note = "  ".join(f"{name} {metric:.3g}" for name, metric in main_metrics(line).items())
        else:
            note = ""
            numbers = {name: metric for name, metric in line.items() if isinstance(metric, float)}
            self._bar.below = Columns([f"{name} {metric:.4g}" for name, metric in numbers.items()], equal=True)
        self.to(line["step"], total=line["steps"], note=note)


def main_metrics(line: dict[str, Any]) -> dict[str, float]:
    """Pick the few of a line of the training log that tell most."""
    names = [*(name for name in line if name.endswith("_loss")), *_SHOWN_METRICS]
    return {name: line[name] for name in names if isinstance(line.get(name), float)}
