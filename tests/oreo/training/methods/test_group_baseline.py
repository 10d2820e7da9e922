"""oreo.training.methods.group_baseline: OAPL and GRPO against their formulas and what these have for a minimum."""

from __future__ import annotations

import dataclasses
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from helpers.small_models import rollouts
from helpers.training import a_new_run, a_run, gradient, log_ratio_of
from oreo.training.config import TrainConfig
from oreo.training.methods.group_baseline import grpo_loss, oapl_loss, soft_values, standings

torch.set_num_threads(1)


def data() -> list[Any]:
    """Three games of four samples."""
    return [dataclasses.replace(play, game=f"game {index // 4}") for index, play in enumerate(rollouts())]


def test_oapl_has_the_policy_of_most_reward_for_its_kl_as_its_minimum() -> None:
    """π*(a) = π_ref(a) exp(R(a)/β) / Σ: all actions of a uniform reference, so that their mean is the expectation."""
    returns, beta = torch.tensor([0.0, 1.0, 0.3, 0.7, -0.5], dtype=torch.float64), 0.4
    logits = nn.Parameter(torch.zeros(5, dtype=torch.float64))
    baseline = beta * (returns / beta).exp().mean().log().expand(5)
    optimizer = torch.optim.Adam([logits], lr=0.05)
    for _ in range(800):
        optimizer.zero_grad()
        log_ratio = logits.log_softmax(0) + np.log(5)
        oapl_loss(log_ratio, returns, baseline, beta=beta)[0].backward()
        optimizer.step()
    torch.testing.assert_close(logits.softmax(0).detach(), (returns / beta).softmax(0), rtol=1e-5, atol=1e-6)


def test_baselines_are_those_of_all_samples_of_a_game_whichever_batch_they_come_in(start: Path, tmp_path: Path) -> None:
    config = TrainConfig(method="oapl", model=str(start), beta=0.2)
    run = a_new_run(data(), config, tmp_path)
    outcomes = {f"game {game}": [float(play.won) for play in data()[4 * game : 4 * game + 4]] for game in range(3)}
    names = {row.game: row.name for row in run.rows.examples}
    values, standing = (measured(config, run.rows.examples) for measured in (soft_values, standings))
    assert {names[game] for game in values} == set(outcomes)
    for game, value in values.items():
        of_game = outcomes[names[game]]
        assert value == pytest.approx(0.2 * np.log(np.mean(np.exp(np.array(of_game) / 0.2))))
        assert standing[game] == pytest.approx((np.mean(of_game), statistics.pstdev(of_game)))
    assert run._update([3]).surveyed == values


@pytest.mark.parametrize("method", ["oapl", "grpo"])
@pytest.mark.parametrize("micro", [80, 100_000])
def test_gradients_are_those_of_the_formula_written_out_however_the_batch_is_cut(
    method: str, micro: int, start: Path, tmp_path: Path
) -> None:
    run = a_run(data(), start, tmp_path, micro, method=method, beta=0.05)
    metrics, _ = run.backward(range(12))
    found = gradient(run)
    run.modules.models["policy"].zero_grad()
    surveyed, losses = run.surveyed, []
    for row, play in zip(run.rows.examples, data(), strict=True):
        (piece,) = row.pieces
        if method == "oapl":
            ratio = log_ratio_of(run, piece.input_ids, piece.action_mask)
            losses.append((0.05 * ratio - (float(play.won) - surveyed[row.game])) ** 2)
            continue
        mean, deviation = surveyed[row.game]
        advantage = (float(play.won) - mean) / (deviation + 1e-6)
        tokens = []
        for at in np.flatnonzero(piece.action_mask):
            only = np.zeros_like(piece.action_mask)
            only[at] = True
            ratio = log_ratio_of(run, piece.input_ids, only).exp()
            tokens.append(-torch.minimum(ratio * advantage, ratio.clamp(0.8, 1.2) * advantage))
        losses.append(sum(tokens) / len(tokens))
    loss = sum(losses) / len(losses)
    if method == "grpo":  # its KL is that of OREO, which is tested there
        assert metrics["policy_loss"] == pytest.approx(float(loss), rel=1e-3, abs=1e-5) and metrics["kl"] > 0
        assert metrics["loss"] == pytest.approx(metrics["policy_loss"] + 0.05 * metrics["kl"], rel=1e-4)
        return
    loss.backward()
    assert metrics["oapl_loss"] == pytest.approx(float(loss), rel=1e-4)
    for key, tensor in gradient(run).items():
        torch.testing.assert_close(found[key], tensor, rtol=1e-3, atol=1e-6)


def test_a_token_that_went_far_enough_its_way_has_no_gradient_and_one_that_went_astray_has() -> None:
    """By the side of 1 ± ε on which the ratio is, and the sign of the advantage."""
    log_ratio = torch.tensor([[0.5, 0.1, -0.5], [0.5, 0.1, -0.5]], dtype=torch.float64, requires_grad=True)
    loss, metrics = grpo_loss(log_ratio, torch.tensor([1.0, -1.0]), torch.ones(2, 3, dtype=torch.bool), clip=0.2)
    loss.backward()
    assert log_ratio.grad is not None
    assert (log_ratio.grad != 0).tolist() == [[False, True, True], [True, True, False]]
    assert metrics["clipped"].item() == pytest.approx(1 / 3)


def test_where_all_samples_of_a_game_end_alike_grpo_learns_nothing_and_stays(start: Path, tmp_path: Path) -> None:
    alike = [dataclasses.replace(play, game=f"{play.won}") for play in rollouts()]
    run = a_new_run(alike, TrainConfig(method="grpo", model=str(start)), tmp_path)
    run.backward(range(12))
    assert all(float(tensor.abs().max()) < 1e-6 for tensor in gradient(run).values())
