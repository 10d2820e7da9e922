"""Plots: what is drawn is what was given, nothing is covered or cut, and the file is the same every time."""

from __future__ import annotations

import sys
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from oreo.errors import DataError, MissingExtra, UsageError
from oreo.eval.evaluate import SuccessRate
from oreo.eval.plots import (
    check_plot,
    draw_success_over_k,
    draw_success_over_tokens,
    success_over_k,
    success_over_tokens,
)
from oreo.eval.statistics import wilson_interval


def outcome(won: int, n: int = 600) -> SuccessRate:
    low, high = wilson_interval(won, n)
    return SuccessRate(won / n, low, high, n, won, 11.0, won / n)


POINTS = {1: outcome(440), 5: outcome(449), 2: outcome(452), 8: outcome(446), 3: outcome(450)}
REFERENCES = {
    "one turn": {"greedy": outcome(405)},
    "admissible commands": {"likeliest": outcome(520), "best of 3": outcome(58), "best of 5": outcome(0)},
    "planner": {"1 turn deep": outcome(530), "2 turns deep": outcome(600), "1 deep, admissible": outcome(590)},
}


def drawn(axes: Any) -> list[tuple[float, float, float, float]]:
    """(place, success, low, high) of every point with an interval, in the order of places."""
    points = []
    for container in axes.containers:
        line, _, (bars,) = container.lines
        for place, success, segment in zip(line.get_xdata(), line.get_ydata(), bars.get_segments(), strict=True):
            assert segment[:, 0].tolist() == [place, place]
            points.append((float(place), float(success), *segment[:, 1].tolist()))
    return sorted(points)


def expected(place: int, outcome: SuccessRate) -> Any:
    return pytest.approx((place, outcome.success, outcome.low, outcome.high))


def test_the_points_and_intervals_drawn_are_those_given() -> None:
    pytest.importorskip("matplotlib")
    curve, others = draw_success_over_k(POINTS, REFERENCES).axes
    assert drawn(curve) == [expected(k, POINTS[k]) for k in (1, 2, 3, 5, 8)]
    given = [reference for named in REFERENCES.values() for reference in named.values()]
    assert drawn(others) == [expected(place, reference) for place, reference in enumerate(given)]
    assert [tick.get_text() for tick in curve.get_xticklabels()] == ["1", "2", "3", "5", "8"]
    names = [tick.get_text().replace("\n", " ") for tick in others.get_xticklabels()]
    assert names == [name for named in REFERENCES.values() for name in named]


def test_curves_over_tokens_are_drawn_with_their_intervals_and_told_apart_by_name(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    curves = {"beam search": {61.0: outcome(440), 990.5: outcome(520), 240.0: outcome(500)}, "vote": {61.0: outcome(9)}}
    (axes,) = draw_success_over_tokens(curves, "what was searched").axes
    for line, points in zip(axes.lines, curves.values(), strict=True):
        assert line.get_xdata().tolist() == sorted(points)
        assert line.get_ydata().tolist() == [points[cost].success for cost in sorted(points)]
    for band, points in zip(axes.collections, curves.values(), strict=True):
        corners = {(float(x), float(y)) for x, y in band.get_paths()[0].vertices}
        assert {(cost, end) for cost, outcome in points.items() for end in (outcome.low, outcome.high)} <= corners
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(curves)
    for cost in (61.0, 990.5):
        assert axes.get_xlim()[0] < cost < axes.get_xlim()[1]

    for name in ("one.svg", "two.svg"):
        success_over_tokens(curves, tmp_path / name)
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()
    for refused in ({}, {"beam": {}}, {"beam": {0.0: outcome(1)}}, {str(n): {1.0: outcome(1)} for n in range(6)}):
        with pytest.raises(UsageError, match="needs points|at most 5"):
            draw_success_over_tokens(refused)


def test_the_scale_holds_every_interval_and_its_marks_say_where_they_stand() -> None:
    pytest.importorskip("matplotlib")
    for points in (POINTS, {1: outcome(0), 3: outcome(600)}, {2: outcome(20, 20)}, {4: outcome(299)}):
        (axes,) = draw_success_over_k(points, {}).axes
        bottom, top = axes.get_ylim()
        assert all(bottom <= outcome.low and outcome.high <= top for outcome in points.values())
        marks = axes.get_yticks()
        assert 3 <= len(marks) <= 8 and bottom <= min(marks) and max(marks) <= min(1.0, top) + 1e-9
        written = [axes.yaxis.get_major_formatter()(mark) for mark in marks]
        assert [float(text.removesuffix(" %")) for text in written] == pytest.approx([100 * mark for mark in marks])


def test_no_word_is_covered_by_another_or_cut() -> None:
    pytest.importorskip("matplotlib")
    figure = draw_success_over_k(POINTS, REFERENCES, "600 games, at most 20 steps, seed 0, sampled at 0.5")
    figure.draw_without_rendering()
    words = [text for axes in figure.axes for text in (*axes.texts, *axes.get_xticklabels(), axes.xaxis.label)]
    words += [*figure.axes[0].get_yticklabels(), figure.axes[0].yaxis.label, *figure.texts]
    boxes = [(word.get_text(), word.get_window_extent()) for word in words if word.get_text()]
    assert {"greedy", "planner", "73.3", "K sampled turns, the best by value"} <= {word for word, _ in boxes}
    for (one, first), (other, second) in combinations(boxes, 2):
        assert not first.overlaps(second), f"{one!r} and {other!r}"
    for word, box in boxes:
        assert figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1, word
        assert figure.bbox.y0 <= box.y0 and box.y1 <= figure.bbox.y1, word


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_same_figures_give_the_same_file_whatever_else_is_set_up(suffix: str, tmp_path: Path) -> None:
    matplotlib = pytest.importorskip("matplotlib")
    first, second = tmp_path / f"first{suffix}", tmp_path / "a" / "folder" / f"second{suffix}"
    success_over_k(POINTS, REFERENCES, first, "title")
    with matplotlib.rc_context({"font.size": 30, "figure.facecolor": "black", "savefig.facecolor": "black"}):
        before = dict(matplotlib.rcParams)
        success_over_k(POINTS, REFERENCES, second, "title")
        assert dict(matplotlib.rcParams) == before
    assert first.read_bytes() == second.read_bytes()
    assert first.read_bytes().startswith(b"\x89PNG" if suffix == ".png" else b"<?xml")


def test_a_picture_is_white_and_wide_enough_for_a_page(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from matplotlib.image import imread

    success_over_k(POINTS, REFERENCES, tmp_path / "choosing.png")
    pixels = imread(tmp_path / "choosing.png")
    assert pixels.shape[1] >= 900
    assert (pixels[[0, -1]] == 1).all() and (pixels[:, [0, -1]] == 1).all()


def test_what_cannot_be_drawn_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    with pytest.raises(UsageError, match=r"\.png or \.svg"):
        success_over_k(POINTS, {}, tmp_path / "choosing.pdf")
    with pytest.raises(UsageError, match="got none"):
        draw_success_over_k({}, REFERENCES)
    with pytest.raises(UsageError, match=r"got \[0, 1\]"):
        draw_success_over_k({0: outcome(1), 1: outcome(2)}, {})
    with pytest.raises(UsageError, match="5 groups"):
        draw_success_over_k(POINTS, {f"group {index}": {"one": outcome(1)} for index in range(5)})
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        success_over_k(POINTS, {}, tmp_path / "file" / "choosing.png")


def test_without_matplotlib_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)  # as Python has it where an import is to fail
    monkeypatch.delitem(sys.modules, "matplotlib.figure", raising=False)
    with pytest.raises(MissingExtra, match=r"pip install 'oreo-agents\[plots\]'"):
        check_plot("choosing.png")
