"""Progress of long work, and one-line complaints, on standard error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from oreo.errors import OreoError

if TYPE_CHECKING:
    from typing_extensions import Self

    from oreo.trajectory import Trajectory


_SECONDS_BETWEEN_LINES = 10.0
_SECONDS_UNTIL_STEPS = 5.0
"""Without an episode that ends, until steps are shown in place of success."""


_SHOWN_METRICS = (
    *("nll", "dpo_loss", "kto_loss", "value_loss", "policy_loss", "residual", "margin", "accuracy", "kl"),
    *("auc_start", "auc_middle", "tokens_per_second"),
)


def is_main_process() -> bool:
    """False in all but one of several processes that a launcher started; those keep silent."""
    return os.environ.get("RANK", "0") == "0"


def print_error(message: str) -> None:
    """`oreo: …` on standard error, in one line whatever the message holds."""
    print(f"oreo: {' '.join(message.split())}", file=sys.stderr)


@contextmanager
def reported(stopped: str) -> Iterator[None]:
    """For scripts: ends with one line and an exit code where the block raises what the user can mend, or is stopped."""
    try:
        yield
    except OreoError as error:
        print_error(str(error))
        raise SystemExit(error.exit_code) from None
    except KeyboardInterrupt:
        print_error(stopped)
        raise SystemExit(130) from None


class Progress:
    """How far something is: a bar on a terminal, elsewhere a line now and then. To standard error.

    with Progress("writing", 20) as progress:
        progress(1, note="")
    """

    def __init__(self, what: str, total: int | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn
        from rich.progress import TimeElapsedColumn as Elapsed
        from rich.progress import TimeRemainingColumn as Remaining

        self.what, self.total, self.done = what, total, 0
        self._said = time.monotonic()
        console = Console(stderr=True)
        note = TextColumn("{task.fields[note]}")
        columns = (SpinnerColumn(), TextColumn(what), BarColumn(bar_width=20), MofNCompleteColumn())
        self._bar = _bar(
            *(*columns, Elapsed(), Remaining(compact=True), note),
            console=console,
            disable=not (console.is_terminal and is_main_process()),
            transient=True,
        )
        self._task = self._bar.add_task(what, total=total, note="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *exception: Any) -> None:
        self._bar.stop()

    def to(self, done: int, *, total: int | None = None, note: str = "") -> None:
        """`done` of `total` are done."""
        self.done, self.total = done, total or self.total
        self._bar.update(self._task, completed=done, total=self.total, note=note)
        if self._bar.disable and time.monotonic() - self._said > _SECONDS_BETWEEN_LINES:
            self._said = time.monotonic()
            of = f" of {self.total}" if self.total is not None else ""
            print(f"{self.what}: {done}{of} {note}".rstrip(), file=sys.stderr, flush=True)


def _bar(*columns: Any, **settings: Any) -> Any:
    """rich's progress bar, with room for something `below` it. (A function: rich is imported when it is needed.)"""
    from rich.progress import Progress as Bar

    class BarAndMore(Bar):
        below: Any = None

        def get_renderables(self) -> Iterator[Any]:
            yield from super().get_renderables()
            if self.below is not None:
                yield self.below

    return BarAndMore(*columns, **settings)


class Episodes(Progress):
    """Counts episodes and how many were won: `oreo.rollout(..., on_episode=seen)`."""

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
        self.one(trajectory.won)

    def one(self, won: bool) -> None:
        self.won += won
        self.to(self.done + 1, note=f"won {self.won / (self.done + 1):.0%}")


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
    """The few of a line of the training log that tell most."""
    return {name: line[name] for name in _SHOWN_METRICS if isinstance(line.get(name), float)}
