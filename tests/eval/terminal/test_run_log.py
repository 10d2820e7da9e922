"""oreo.eval.terminal.run_log: the curves of a run, also while its log is being written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oreo.errors import DataError
from oreo.eval.terminal.run_log import drawn, means, read_log


def test_figures_of_all_updates_that_are_whole(tmp_path: Path) -> None:
    rows = [{"step": n, "epoch": n / 4, "phase": "oreo", "loss": 1.0 / n, "kl": 0.1 * n} for n in range(1, 5)]
    text = "\n".join(map(json.dumps, rows)) + '\n[3]\n{"step": 5, "lo'
    (tmp_path / "log.jsonl").write_text(text)
    log = read_log(tmp_path)
    assert (log.updates, log.epoch, log.phase) == (4, 1.0, "oreo")
    assert log.figures == {"loss": [1.0, 0.5, 1 / 3, 0.25], "KL to the start": [0.1, 0.2, pytest.approx(0.3), 0.4]}
    lines = [line.rstrip() for line in drawn(log, 40).plain.splitlines()]
    assert lines[0] == "4 updates, epoch 1.00, learning oreo"
    assert lines[2:6] == ["loss  now 0.25", "  1.00 █", "       █▁", "  0.25 ██▄▁"]


def test_what_is_no_number_is_a_gap_and_no_log_is_named(tmp_path: Path) -> None:
    (tmp_path / "log.jsonl").write_text('{"loss": NaN}\n{"loss": 1, "phase": "\\u001b[2J"}\n{"loss": true}\n')
    log = read_log(tmp_path)
    assert log.figures == {"loss": [None, 1.0, None]} and "\x1b" not in drawn(log, 20).plain
    with pytest.raises(DataError, match="is no run of oreo train"):
        read_log(tmp_path / "nowhere")


def test_of_many_updates_neighbours_are_taken_together() -> None:
    assert means([1.0, 3.0, 5.0, None, None, None, 2.0], 4) == [2.0, 5.0, None, 2.0]
    assert means([1.0, 2.0], 5) == [1.0, 2.0] and means([], 3) == []
    assert len(means([0.0] * 1000, 33)) <= 33
