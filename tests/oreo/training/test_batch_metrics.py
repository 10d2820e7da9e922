"""oreo.training.batch_metrics: a batch's metrics do not depend on how it was cut."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from oreo.training.batch_metrics import BatchMetrics
from oreo.training.methods.spec import LossOutcome
from oreo.training.metrics import TrajectoryValues
from oreo.training.rows import Example

torch.set_num_threads(1)

ALONE = SimpleNamespace(num_processes=1)
WON, LOST = Example(((),), True, "won"), Example(((),), False, "lost")


def outcome(losses: list[float], values: list[list[float]] | None = None) -> LossOutcome:
    mean = torch.tensor(losses).mean()
    return LossOutcome(mean, {"double": 2 * mean}, None if values is None else torch.tensor(values))


def test_means_are_weighted_by_what_each_micro_batch_holds_of_the_batch() -> None:
    metrics = BatchMetrics()
    metrics.add(outcome([1.0, 2.0, 3.0]), [WON, LOST, WON], share=3 / 4)
    metrics.add(outcome([10.0]), [LOST], share=1 / 4)
    means, trajectory_values = metrics.over_processes(ALONE)
    assert means == pytest.approx({"loss": 4.0, "double": 8.0})
    assert trajectory_values == [], "no value model, no values"


def test_values_stand_beside_the_outcome_of_their_trajectory_and_rows_that_count_nothing_leave_none() -> None:
    metrics = BatchMetrics()
    metrics.add(outcome([1.0, 3.0], [[0.5, 0.25], [0.125, 0.75]]), [LOST, WON], share=1.0)
    metrics.add(outcome([100.0], [[9.0, 9.0]]), [], share=0.0)
    means, trajectory_values = metrics.over_processes(ALONE)
    assert means == pytest.approx({"loss": 2.0, "double": 4.0})
    assert trajectory_values == [TrajectoryValues(0.5, 0.25, False), TrajectoryValues(0.125, 0.75, True)]
