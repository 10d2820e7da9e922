"""Pictures of results, with matplotlib (the extra `plots`), for papers and READMEs: PNG or SVG, no display needed.

    success_over_k({1: rate, 2: rate, 5: rate}, {"planner": {"1 turn deep": rate}}, "choosing.png")
    success_over_tokens({"beam search": {40.0: rate, 160.0: rate}, "vote": {40.0: rate}}, "searches.png")

The same figures give the same file, byte by byte, with the same matplotlib. What is measured is the callers' business.
"""

from __future__ import annotations

import math
import os
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo.errors import DataError, MissingExtra, UsageError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from oreo.eval.evaluate import SuccessRate

SUFFIXES = (".png", ".svg")
_COLOURS = ("#0072B2", "#333333", "#D55E00", "#009E73", "#CC79A7")
"""Okabe and Ito's, which people who confuse red and green tell apart. First the curve's, then those of the groups."""
_MARKERS = ("o", "D", "s", "^", "v")
_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "svg.hashsalt": "oreo",  # else the ids in an SVG are drawn anew each time
}
_WIDTH, _HEIGHT, _DPI = 9.0, 4.6, 200
"""Inches, and dots per inch: shown 900 pixels wide, letters are as high as those of a page's text."""


def check_plot(path: str | os.PathLike[str]) -> None:
    """Check that a picture can be made at `path`, before what it shows takes hours.

    Raises:
        UsageError: a name that ends neither in .png nor in .svg.
        MissingExtra: matplotlib is not installed.
    """
    if Path(path).suffix.lower() not in SUFFIXES:
        raise UsageError(f"cannot draw {os.fspath(path)}: expected a name that ends in {' or '.join(SUFFIXES)}")
    try:
        import matplotlib.figure  # noqa: F401
    except ImportError:
        raise MissingExtra("plots are drawn with matplotlib: pip install 'oreo-agents[plots]'") from None


def success_over_k(
    points: Mapping[int, SuccessRate],
    references: Mapping[str, Mapping[str, SuccessRate]],
    path: str | os.PathLike[str],
    title: str = "",
) -> None:
    """Draw success over the number of candidates, beside other ways to choose, all with their intervals.

    Args:
        points: by K, 1 or more.
        references: by group and name; each group has a colour, and its names stand below its points. At most 4 groups.
        path: a .png or .svg file; an existing one is replaced.
        title: above all.
    Raises:
        UsageError: no points, a K below 1, too many groups, or another kind of file.
        MissingExtra: matplotlib is not installed.
        DataError: the file cannot be written.
    """
    _save(lambda: draw_success_over_k(points, references, title), path)


def success_over_tokens(
    curves: Mapping[str, Mapping[float, SuccessRate]], path: str | os.PathLike[str], title: str = ""
) -> None:
    """Draw success over what it cost, a curve with intervals for each way to search.

    Args:
        curves: by name, then by sampled tokens a problem, more than 0. At most 5 curves.
        path: a .png or .svg file; an existing one is replaced.
        title: above all.
    Raises:
        UsageError: no points, a cost of 0 or less, too many curves, or another kind of file.
        MissingExtra: matplotlib is not installed.
        DataError: the file cannot be written.
    """
    _save(lambda: draw_success_over_tokens(curves, title), path)


def _save(draw: Callable[[], Figure], path: str | os.PathLike[str]) -> None:
    check_plot(path)
    from matplotlib import style

    file = Path(path).expanduser()
    # No date and no version in the file. (An SVG's writer knows no other keys than these two for them.)
    metadata = {"Date": None, "Creator": None} if file.suffix.lower() == ".svg" else {"Software": None}
    with style.context(["default", _STYLE]):  # whatever the user has set up for other pictures
        figure = draw()
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            figure.savefig(file, dpi=_DPI, metadata=metadata)
        except OSError as error:
            raise DataError(f"cannot write {file}: {error.strerror or error}") from None


def draw_success_over_k(
    points: Mapping[int, SuccessRate], references: Mapping[str, Mapping[str, SuccessRate]], title: str = ""
) -> Figure:
    """Draw the figure of `success_over_k`, which see: K at the left, references at the right, one scale of success."""
    from matplotlib.figure import Figure

    references = {group: named for group, named in references.items() if named}
    if not points or min(points) < 1:
        raise UsageError(f"success over K needs points at 1 or more candidates, got {sorted(points) or 'none'}")
    if len(references) >= len(_COLOURS):
        raise UsageError(f"{len(references)} groups of references: expected at most {len(_COLOURS) - 1}")
    named = sum(map(len, references.values()))
    figure = Figure(figsize=(_WIDTH, _HEIGHT), facecolor="white", layout="constrained")
    # A unit of width for each reference, and for the curve as much as four of them, or a half.
    widths = [max(4.0, 0.75 * named), named + 0.3] if named else [1.0]
    first, *others = figure.subplots(1, len(widths), sharey=True, width_ratios=widths, squeeze=False)[0]
    _curve(first, points)
    for axes in others:
        _references(axes, references)
    first.set_ylabel("success, with 95 % interval")
    _scale(first, [*points.values(), *(rate for group in references.values() for rate in group.values())])
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def draw_success_over_tokens(curves: Mapping[str, Mapping[float, SuccessRate]], title: str = "") -> Figure:
    """Draw the figure of `success_over_tokens`, which see: cost on a scale where equal factors are equally long."""
    from matplotlib.figure import Figure

    curves = {name: points for name, points in curves.items() if points}
    if not curves or min(min(points) for points in curves.values()) <= 0:
        raise UsageError("success over tokens needs points, each at more than 0 tokens")
    if len(curves) > len(_COLOURS):
        raise UsageError(f"{len(curves)} curves: expected at most {len(_COLOURS)}")
    figure = Figure(figsize=(_WIDTH, _HEIGHT), facecolor="white", layout="constrained")
    axes = figure.subplots()
    axes.set_xscale("log", base=2)
    for index, (name, points) in enumerate(curves.items()):
        costs = sorted(points)
        rates = [points[cost] for cost in costs]
        axes.fill_between(
            costs,
            [rate.low for rate in rates],
            [rate.high for rate in rates],
            color=_COLOURS[index],
            alpha=0.12,
            linewidth=0,
        )
        axes.plot(
            costs,
            [rate.success for rate in rates],
            color=_COLOURS[index],
            marker=_MARKERS[index],
            markersize=6,
            linewidth=1.6,
            label=name,
        )
    ends = [cost for points in curves.values() for cost in points]
    low, high = math.floor(math.log2(min(ends))), math.ceil(math.log2(max(ends)))
    axes.set_xticks([2**power for power in range(low, high + 1)], [f"{2**power:g}" for power in range(low, high + 1)])
    axes.set_xticks([], minor=True)
    axes.set_xlim(min(ends) / 2**0.3, max(ends) * 2**0.3)
    axes.set_xlabel("tokens sampled a problem")
    axes.set_ylabel("success, with 95 % interval")
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.legend(frameon=False, loc="lower right")
    _scale(axes, [rate for points in curves.values() for rate in points.values()])
    if title:
        figure.suptitle(title, fontsize=9)
    return figure


def _curve(axes: Axes, points: Mapping[int, SuccessRate]) -> None:
    ks = sorted(points)
    rates = [points[k] for k in ks]
    axes.set_xscale("log", base=2)
    _bars(axes, ks, rates, _COLOURS[0], _MARKERS[0], "-")
    axes.set_xticks(ks, [str(k) for k in ks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(ks[0] / 2**0.4, ks[-1] * 2**0.4)
    axes.set_xlabel("K sampled turns, the best by value", color=_COLOURS[0])
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)


def _references(axes: Axes, references: Mapping[str, Mapping[str, SuccessRate]]) -> None:
    labels = [_wrapped(name, 10) for named in references.values() for name in named]
    lines = 1 + max(label.count("\n") for label in labels)
    place = 0
    for colour, marker, (group, named) in zip(_COLOURS[1:], _MARKERS[1:], references.items(), strict=False):
        if place:
            axes.axvline(place - 0.5, color="#CCCCCC", linewidth=0.8)
        places = list(range(place, place + len(named)))
        _bars(axes, places, list(named.values()), colour, marker, "none")
        # Below the names of its members: across in the axis' units, down in points.
        axes.annotate(
            _wrapped(group, 10 * len(named)),
            ((places[0] + places[-1]) / 2, 0),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, -9 - 12 * lines),
            textcoords="offset points",
            ha="center",
            va="top",
            color=colour,
        )
        place += len(named)
    axes.set_xticks(range(place), labels)
    axes.set_xlim(-0.65, place - 0.35)
    axes.tick_params(axis="y", left=False)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.8)
    axes.set_axisbelow(True)


def _bars(axes: Axes, places: list[int], rates: list[SuccessRate], colour: str, marker: str, line: str) -> None:
    """Draw points with their intervals, and above each its success in per cent."""
    below = [rate.success - rate.low for rate in rates]
    above = [rate.high - rate.success for rate in rates]
    style: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": line}
    axes.errorbar(
        places,
        [rate.success for rate in rates],
        yerr=[below, above],
        **style,
        markersize=6,
        capsize=4,
        linewidth=1.6,
        elinewidth=1.4,
    )
    for place, rate in zip(places, rates, strict=True):
        axes.annotate(
            f"{100 * rate.success:.1f}",
            (place, rate.high),
            xytext=(0, 4),
            textcoords="offset points",
            ha="center",
            color=colour,
            fontsize=8.5,
        )


def _wrapped(text: str, letters: int) -> str:
    """Break text into lines of at most N letters, where its words are no longer."""
    return "\n".join(textwrap.wrap(text, letters, break_long_words=False))


def _scale(axes: Axes, rates: list[SuccessRate]) -> None:
    """Show the tenths around all intervals, with room for the numbers above them; marks at whole per cents."""
    low = min(0.9, math.floor(10 * min(rate.low for rate in rates)) / 10)
    high = max(low + 0.1, math.ceil(10 * max(rate.high for rate in rates)) / 10)
    step = next(step for step in (0.02, 0.05, 0.1, 0.2) if high - low < 7 * step)
    axes.set_ylim(low, high + 0.06 * (high - low))
    axes.set_yticks([low + index * step for index in range(1 + int((high - low) / step + 1e-6))])
    axes.yaxis.set_major_formatter(lambda rate, _: f"{100 * rate:.0f} %")
