"""What a data folder or a pack holds, counted: the table of `oreo games info`."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo.envs.alfworld.data.entry import UNKNOWN_RULES, Entry
from oreo.envs.alfworld.data.games import LAYOUT, SPLITS, split_entries, splits
from oreo.envs.alfworld.game import TASK_TYPES
from oreo.errors import DataError

if TYPE_CHECKING:
    from rich.table import Table


def summarize(data: Path) -> dict[str, Any]:
    """Counts by split, in JSON types. `data` is what `find_data` returned.

    Raises:
        DataError: no split is there, or one cannot be read.
    """
    by_split = {split: split_entries(data, split) for split in splits(data)}
    if not by_split:
        raise DataError(f"{data}: no split in it (looked for {', '.join(SPLITS)})")

    def count(fact: str) -> dict[str, dict[str, int]]:
        return {split: dict(Counter(getattr(entry, fact) for entry in entries)) for split, entries in by_split.items()}

    return {
        "data": str(data),
        "kind": "folder" if data.is_dir() else "pack",
        "layout": LAYOUT,
        "games": count("task_type"),
        "dialects": count("dialect"),
        "rules": count("rules"),
        "engines": {split: _engines(entries) for split, entries in by_split.items()},
        "human_goals": {split: sum(entry.goals for entry in entries) for split, entries in by_split.items()},
    }


def _engines(entries: tuple[Entry, ...]) -> dict[str, int]:
    """Return which engine plays them, as far as domain and grammar decide it."""
    return dict(Counter("textworld" if entry.rules == UNKNOWN_RULES else "simulator" for entry in entries))


def render(summary: dict[str, Any]) -> Table:
    """The summary as a table that fits into 80 columns."""
    from rich.table import Table

    games = summary["games"]
    title = f"{summary['data']} ({summary['kind']}, {summary['layout']})"
    table = Table(title=title, title_justify="left")
    table.add_column("task type")
    for split in games:
        table.add_column(split, justify="right")
    for kind in [kind for kind in TASK_TYPES if any(kind in counts for counts in games.values())]:
        table.add_row(kind, *(str(counts.get(kind, 0)) for counts in games.values()))
    table.add_section()
    table.add_row("all", *(str(sum(counts.values())) for counts in games.values()), style="bold")
    table.add_section()
    for label, fact in (("dialect", "dialects"), ("rules of alfworld", "rules"), ("engine", "engines")):
        table.add_row(label, *(_share(counts) for counts in summary[fact].values()))
    table.add_row("goals written by people", *map(str, summary["human_goals"].values()))
    return table


def _share(counts: dict[str, int]) -> str:
    """Return the only name, or all of them with their numbers."""
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{name} {number}" for name, number in sorted(counts.items()))
