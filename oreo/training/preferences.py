"""The losses of DPO (Rafailov et al., arXiv 2305.18290) and KTO (Ethayarajh et al., arXiv 2402.01306), pure functions.

Both see a trajectory as one action, of which they know the log-ratio r = Σ_t log π_θ(a_t|s_t) − log π_ref(a_t|s_t)
over its action tokens (`sequence_log_ratio`), and whether it was won. B sequences, T positions, P pairs, N
trajectories. Sums run in float32 or wider. Which pairs there are: oreo.data.selection; OREO's losses:
oreo.training.losses.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from oreo.errors import UsageError


def sequence_log_ratio(log_ratio: Tensor, action_mask: Tensor, trajectory: Tensor, count: int) -> Tensor:
    """[N] sum of the log-ratios of each trajectory's action tokens, over all the sequences it was cut into.

    Args:
        log_ratio: [B, T] log π_θ(a_t|s_t) − log π_ref(a_t|s_t); ignored, NaN included, off the mask.
        action_mask: [B, T] True (or non-zero) at action tokens.
        trajectory: [B] int64, which of the N trajectories a sequence belongs to.
        count: N.

    Raises:
        UsageError: shapes that do not fit.
    """
    if log_ratio.ndim != 2 or log_ratio.shape != action_mask.shape or trajectory.shape != log_ratio.shape[:1]:
        shapes = [list(tensor.shape) for tensor in (log_ratio, action_mask, trajectory)]
        raise UsageError(f"expected log_ratio and action_mask [batch, length] and trajectory [batch], got {shapes}")
    wide = log_ratio.to(torch.promote_types(log_ratio.dtype, torch.float32))
    sums = torch.where(action_mask != 0, wide, 0.0).sum(1)
    return sums.new_zeros(count).index_add(0, trajectory, sums)


def dpo_loss(won: Tensor, lost: Tensor, *, beta: float) -> tuple[Tensor, dict[str, Tensor]]:
    """−log σ( β r(won) − β r(lost) ), the mean over pairs: equation 7 of arXiv 2305.18290.

    Args:
        won, lost: [P] log-ratios r of two trajectories of one game.
        beta: weight β of the KL to the reference.

    Returns:
        The loss (a scalar) and detached metrics: dpo_loss, margin (mean of r(won) − r(lost)), accuracy (share of pairs
        in which that is above 0).

    Raises:
        UsageError: tensors that are not [P], a negative beta.
    """
    _check(beta, won=won, lost=lost)
    margin = won - lost
    loss = -logsigmoid(beta * margin).mean()
    still = margin.detach()
    return loss, {"dpo_loss": loss.detach(), "margin": still.mean(), "accuracy": (still > 0).to(loss.dtype).mean()}


def kto_loss(
    log_ratio: Tensor,
    desirable: Tensor,
    reference_point: Tensor,
    *,
    beta: float,
    desirable_weight: float = 1.0,
    undesirable_weight: float = 1.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """λ_y − v(x, y), the mean over trajectories: section 4 of arXiv 2402.01306.

    v = λ_D σ( β (r − z) ) for a desirable one, λ_U σ( β (z − r) ) for an undesirable one; no gradient flows to z.

    Args:
        log_ratio: [N] r.
        desirable: [N] bool.
        reference_point: scalar z, one for the whole batch (`kto_reference_point`).
        beta: β.
        desirable_weight, undesirable_weight: λ_D and λ_U.

    Returns:
        The loss (a scalar) and detached metrics: kto_loss, log_ratio (mean r), reference_point (z), accuracy (share of
        trajectories on their side of z).

    Raises:
        UsageError: log_ratio and desirable that are not [N]; a negative beta.
    """
    _check(beta, log_ratio=log_ratio, desirable=desirable)
    wanted = desirable != 0
    above = log_ratio - reference_point.detach().to(log_ratio)
    above = torch.where(wanted, above, -above)
    weight = torch.where(wanted, desirable_weight, undesirable_weight).to(log_ratio)
    # λ − λ σ(x) = λ σ(−x), which keeps its digits where σ(x) is close to 1.
    loss = (weight * torch.sigmoid(-beta * above)).mean()
    return loss, {
        "kto_loss": loss.detach(),
        "log_ratio": log_ratio.detach().mean(),
        "reference_point": reference_point.detach().to(log_ratio),
        "accuracy": (above.detach() > 0).to(loss.dtype).mean(),
    }


def kto_reference_point(total: Tensor, count: int) -> Tensor:
    """z = max(0, 1/m Σ_i log π_θ(y_j|x_i)/π_ref(y_j|x_i)), an estimate of KL(π_θ ‖ π_ref): section 4 of 2402.01306.

    Each of the batch's m prompts x_i is followed by a completion y_j of another; oreo.training.methods says how those
    are made.

    Args:
        total: scalar, the sum of the log-ratios of all mismatched completions.
        count: m.

    Returns:
        A scalar without gradient.
    """
    return (total.detach() / max(1, count)).clamp(min=0)


def _check(beta: float, **tensors: Tensor) -> None:
    shapes = {name: list(tensor.shape) for name, tensor in tensors.items()}
    if any(len(shape) != 1 for shape in shapes.values()) or len({tuple(shape) for shape in shapes.values()}) != 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise UsageError(f"expected tensors of one shape [count], got {listed}")
    if not (math.isfinite(beta) and beta >= 0):
        raise UsageError(f"beta is {beta}; expected 0 or more")
