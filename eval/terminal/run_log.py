"""The curves of a training run that goes on elsewhere: its log.jsonl as charts of a few figures over updates."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from oreo.errors import DataError
from oreo.eval.terminal.charts import chart, finite, label, span
from oreo.text import one_line

LOG = "log.jsonl"
_FIGURES = (
    ("loss", "loss"),
    ("policy_loss", "policy loss"),
    ("value_loss", "value loss"),
    ("kl", "KL to the start"),
    ("auc_start", "AUC of V at the start"),
    ("auc_middle", "AUC of V half-way"),
    ("tokens_per_second", "tokens a second"),
)
"""As the log calls them, and in words."""
_ROWS = 3
_LABELS = 7
_MOST_BYTES = 64 << 20
"""Of a log; a longer one is read from behind."""


@dataclass(frozen=True)
class RunLog:
    """Figures over updates."""

    updates: int
    epoch: float
    phase: str
    figures: dict[str, list[float | None]]
    """Of each figure that is logged, in words: a number an update."""


def read_log(folder: Path) -> RunLog:
    """The log of a run as it is now; a line that is being written is left for the next time.

    Raises:
        DataError: there is none, or it cannot be read.
    """
    path = folder / LOG
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _MOST_BYTES))
            lines = file.read(_MOST_BYTES).decode("utf-8", errors="replace").splitlines()
    except OSError as error:
        raise DataError(f"{folder} is no run of oreo train: {LOG} cannot be read ({error.strerror})") from None
    rows = [row for row in map(_parsed, lines) if row is not None]
    figures = {
        words: [_number(row.get(name)) for row in rows]
        for name, words in _FIGURES
        if any(_number(row.get(name)) is not None for row in rows)
    }
    last = rows[-1] if rows else {}
    return RunLog(len(rows), _number(last.get("epoch")) or 0.0, one_line(str(last.get("phase", ""))), figures)


def _parsed(line: str) -> dict[str, object] | None:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def drawn(log: RunLog, width: int) -> Text:
    """A chart for each figure, the newest updates at the right; what has room for all of them shows means."""
    text = Text(no_wrap=True)
    text.append(f"{log.updates} updates, epoch {log.epoch:.2f}", style="bold")
    text.append(f", learning {log.phase}\n" if log.phase else "\n")
    for words, values in log.figures.items():
        shown = means(values, max(1, width - _LABELS))
        numbers = finite(shown)
        last = next((value for value in reversed(values) if value is not None), None)
        text.append(f"\n{words}", style="bold")
        text.append(f"  now {last:.4g}\n" if last is not None else "\n")
        low, high = (min(numbers), max(numbers)) if max(numbers) > min(numbers) else span(numbers)
        labels = [label(high), " " * _LABELS, label(low)]
        for name, row in zip(labels, chart(shown, low, high, _ROWS), strict=True):
            text.append(name, style="dim")
            text.append(f"{row}\n", style="#56b4e9")
    return text


def means(values: Sequence[float | None], count: int) -> list[float | None]:
    """At most so many numbers: means of as many neighbours each."""
    size = max(1, math.ceil(len(values) / count))
    groups = [finite(values[start : start + size]) for start in range(0, len(values), size)]
    return [sum(group) / len(group) if group else None for group in groups]
