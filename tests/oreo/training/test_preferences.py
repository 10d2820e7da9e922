"""oreo.training.preferences against the formulas of the DPO and the KTO paper, written out with loops in float64."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from oreo.errors import UsageError
from oreo.training.preferences import dpo_loss, kto_loss, kto_reference_point, sequence_log_ratio

BETA = 0.3


def draw(count: int, seed: int = 0) -> list[Tensor]:
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(count, generator=random, dtype=torch.float64).requires_grad_() for _ in range(2)]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_a_trajectory_is_the_sum_over_the_action_tokens_of_all_its_pieces() -> None:
    log_ratio = torch.tensor(
        [[math.nan, 1.0, 2.0], [4.0, math.nan, 8.0], [16.0, math.inf, math.nan]], requires_grad=True
    )
    mask = torch.tensor([[False, True, True], [True, False, True], [True, False, False]])
    sums = sequence_log_ratio(log_ratio, mask, torch.tensor([0, 2, 0]), 3)
    assert sums.tolist() == [19.0, 0.0, 12.0]
    (sums * torch.tensor([1.0, 10.0, 100.0])).sum().backward()
    assert log_ratio.grad is not None
    assert log_ratio.grad.tolist() == [[0.0, 1.0, 1.0], [100.0, 0.0, 100.0], [1.0, 0.0, 0.0]]
    assert sequence_log_ratio(log_ratio.bfloat16(), mask, torch.tensor([0, 2, 0]), 3).dtype == torch.float32


def test_dpo_and_its_gradient_equal_the_formula_written_out() -> None:
    won, lost = draw(7)
    loss, metrics = dpo_loss(won, lost, beta=BETA)
    margins = [w - n for w, n in zip(won.tolist(), lost.tolist(), strict=True)]
    assert loss.item() == pytest.approx(sum(-math.log(sigmoid(BETA * m)) for m in margins) / 7, rel=1e-12)
    assert metrics["margin"].item() == pytest.approx(sum(margins) / 7)
    assert metrics["accuracy"].item() == pytest.approx(sum(m > 0 for m in margins) / 7)
    loss.backward()
    # Section 4 of the paper: −β σ(r(lost) − r(won)) ∇r(won), and the opposite for the lost one.
    expected = [-BETA * sigmoid(-BETA * m) / 7 for m in margins]
    assert won.grad is not None and lost.grad is not None
    assert won.grad.tolist() == pytest.approx(expected, rel=1e-12)
    assert lost.grad.tolist() == pytest.approx([-x for x in expected], rel=1e-12)


def test_dpo_begins_at_log_two_and_pulls_both_sides_with_half_of_beta() -> None:
    won, lost = (torch.zeros(1, dtype=torch.float64, requires_grad=True) for _ in range(2))
    loss, _ = dpo_loss(won, lost, beta=BETA)
    loss.backward()
    assert loss.item() == pytest.approx(math.log(2))
    assert won.grad is not None and lost.grad is not None
    assert (won.grad.item(), lost.grad.item()) == pytest.approx((-BETA / 2, BETA / 2))


def test_kto_and_its_gradient_equal_the_formula_written_out() -> None:
    ratio, _ = draw(6, seed=1)
    desirable = torch.tensor([True, False, True, True, False, False])
    point = torch.tensor(0.4, dtype=torch.float64, requires_grad=True)
    loss, metrics = kto_loss(ratio, desirable, point, beta=BETA, desirable_weight=1.5, undesirable_weight=0.75)
    total, slopes, right = 0.0, [], 0
    for r, good in zip(ratio.tolist(), desirable.tolist(), strict=True):
        weight, sign = (1.5, 1.0) if good else (0.75, -1.0)
        v = sigmoid(BETA * sign * (r - 0.4))
        total += weight - weight * v
        slopes.append(-weight * v * (1 - v) * BETA * sign / 6)
        right += sign * (r - 0.4) > 0
    assert loss.item() == pytest.approx(total / 6, rel=1e-12)
    assert metrics["accuracy"].item() == pytest.approx(right / 6) and metrics["reference_point"].item() == 0.4
    loss.backward()
    assert ratio.grad is not None and ratio.grad.tolist() == pytest.approx(slopes, rel=1e-12)
    assert point.grad is None


def test_ktos_reference_point_is_the_mean_of_the_mismatched_never_below_zero_and_still() -> None:
    total = torch.tensor(3.0, requires_grad=True)
    point = kto_reference_point(total, 4)
    assert point.item() == 0.75 and not point.requires_grad
    assert kto_reference_point(torch.tensor(-3.0), 4).item() == 0.0


def test_beta_zero_leaves_a_constant_without_gradient() -> None:
    won, lost = draw(5)
    dpo, _ = dpo_loss(won, lost, beta=0.0)
    kto, _ = kto_loss(won, torch.arange(5) > 2, torch.zeros(()), beta=0.0, undesirable_weight=3.0)
    assert dpo.item() == pytest.approx(math.log(2)) and kto.item() == pytest.approx((3 * 3.0 + 2) / 5 / 2)
    for loss in (dpo, kto):
        [gradient] = torch.autograd.grad(loss, won)
        assert (gradient == 0).all()


def test_far_apart_pairs_neither_overflow_nor_lose_their_gradient() -> None:
    won, lost = torch.tensor([-1e4, 1e4], requires_grad=True), torch.zeros(2)
    loss, _ = dpo_loss(won, lost, beta=1.0)
    loss.backward()
    assert loss.item() == pytest.approx(5e3) and won.grad is not None and won.grad.tolist() == [-0.5, 0.0]


def test_wrong_shapes_and_weights_are_named() -> None:
    with pytest.raises(UsageError, match="won .5., lost .4."):
        dpo_loss(torch.zeros(5), torch.zeros(4), beta=0.1)
    with pytest.raises(UsageError, match="beta is -1"):
        dpo_loss(torch.zeros(5), torch.zeros(5), beta=-1.0)
    with pytest.raises(UsageError, match="count"):
        kto_loss(torch.zeros(5, 2), torch.zeros(5, 2), torch.zeros(()), beta=0.1)
    with pytest.raises(UsageError, match="batch, length"):
        sequence_log_ratio(torch.zeros(2, 3), torch.zeros(2, 3), torch.zeros(3, dtype=torch.long), 3)
