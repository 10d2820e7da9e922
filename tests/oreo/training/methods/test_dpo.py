"""oreo.training.methods.dpo: the gradient of the loss on a model."""

from __future__ import annotations

from pathlib import Path

import torch

from helpers.small_models import rollouts
from helpers.training import a_new_run, gradient, log_ratio_of
from oreo.training.config import TrainConfig

torch.set_num_threads(1)


def test_dpo_begins_by_pulling_up_the_won_and_pushing_down_the_lost_with_half_of_beta(
    start: Path, tmp_path: Path
) -> None:
    run = a_new_run(rollouts(), TrainConfig(method="dpo", model=str(start)), tmp_path)
    run.backward([3])
    of_run = gradient(run)
    run.modules.models["policy"].zero_grad()
    (won,), (lost,) = run.rows.examples[3].trajectories
    difference = log_ratio_of(run, won.input_ids, won.action_mask) - log_ratio_of(run, lost.input_ids, lost.action_mask)
    (-0.1 / 2 * difference).backward()
    for key, tensor in gradient(run).items():
        torch.testing.assert_close(of_run[key], tensor, rtol=1e-3, atol=1e-6)
