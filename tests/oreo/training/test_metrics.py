"""oreo.training.metrics: figures of the log."""

from __future__ import annotations

import pytest
import torch

from oreo.training.metrics import auc

torch.set_num_threads(1)


def test_auc_is_the_share_of_pairs_in_order() -> None:
    assert auc([0.1, 0.9, 0.5, 0.5], [False, True, True, False]) == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert auc([1.0, 2.0], [True, True]) is None
