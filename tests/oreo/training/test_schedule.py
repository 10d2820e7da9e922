"""oreo.training.schedule: the learning rate over a run."""

from __future__ import annotations

import pytest
import torch

from oreo.training.schedule import schedule

torch.set_num_threads(1)


def test_the_learning_rate_rises_and_then_falls_as_a_cosine() -> None:
    rates = [schedule(step, 100, 0.03) for step in range(100)]
    assert rates[:4] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert rates[3:] == sorted(rates[3:], reverse=True) and 0 < rates[-1] < 1e-3
    assert schedule(0, 1, 0.03) == 1.0 and schedule(0, 5, 0.0) == 1.0
