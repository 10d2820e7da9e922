"""Numbers drawn in block characters: a bar chart of some rows, and one of a single row."""

from __future__ import annotations

import math
from collections.abc import Sequence

_BLOCKS = " ▁▂▃▄▅▆▇█"
_SMALLEST_SPAN = 0.1
"""Values that differ by less are drawn nearly level: otherwise noise in the third digit would look like a mountain."""


def finite(values: Sequence[float | None]) -> list[float]:
    """Those that can be drawn."""
    return [value for value in values if value is not None and math.isfinite(value)]


def span(values: Sequence[float]) -> tuple[float, float]:
    """The lowest and the highest number of a chart of these."""
    low, high = min(values), max(values)
    missing = max(0.0, _SMALLEST_SPAN - (high - low)) / 2
    return low - missing, high + missing


def label(value: float) -> str:
    """In seven cells, the last one empty."""
    return f"{value:6.2f} " if abs(value) < 100 else f"{value:6.0f} " if abs(value) < 1e5 else f"{value:6.0e} "


def chart(values: Sequence[float | None], low: float, high: float, rows: int) -> list[str]:
    """A bar chart in block characters, top row first. What is no number leaves a gap, `low` an eighth of a cell."""
    steps = rows * (len(_BLOCKS) - 1)

    half_span = high / 2 - low / 2  # the whole one may overflow

    def share(value: float) -> float:
        return (min(max(value, low), high) / 2 - low / 2) / half_span if half_span > 0 else 0.5

    heights = [
        0 if value is None or not math.isfinite(value) else 1 + round(share(value) * (steps - 1)) for value in values
    ]
    bases = [row * 8 for row in reversed(range(rows))]
    return ["".join(_BLOCKS[min(8, max(0, height - base))] for height in heights) for base in bases]


def sparkline(values: Sequence[float | None]) -> str:
    """One line of block characters, a cell per value, between the smallest and the largest."""
    numbers = finite(values)
    return chart(values, *span(numbers), rows=1)[0] if numbers else ""
