"""oreo.training.metrics: figures of the log."""

from __future__ import annotations

import pytest
import torch

from oreo.training.metrics import TrajectoryValues, auc, value_summary

torch.set_num_threads(1)


def test_auc_is_the_share_of_pairs_in_order() -> None:
    assert auc([0.1, 0.9, 0.5, 0.5], [False, True, True, False]) == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert auc([1.0, 2.0], [True, True]) is None


def test_values_are_summed_up_for_won_and_lost_trajectories_apart() -> None:
    recent = [TrajectoryValues(0.5, 0.9, True), TrajectoryValues(0.25, 0.1, False), TrajectoryValues(0.0, 0.95, False)]
    assert value_summary(recent) == {
        "value_start_won": 0.5,
        "value_start_lost": 0.125,
        "auc_start": 1.0,
        "auc_middle": 0.5,
    }
    assert value_summary(recent[:1]) == {
        "value_start_won": 0.5,
        "value_start_lost": None,
        "auc_start": None,
        "auc_middle": None,
    }
    assert value_summary([]) == {}
