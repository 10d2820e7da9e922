"""OAPL (arXiv 2602.19362) and GRPO (arXiv 2402.03300): what the samples of a game got is the baseline, without a value.

Both need several episodes of each game (`oreo collect --per-game`); where all of them ended alike, GRPO learns nothing
from them, and OAPL holds the policy to the reference. The baselines are those of all the data, not of a batch, so it
makes no difference which samples of a game come together.

Offline, the policy that sampled is the one training starts from, so its log-probabilities are the reference's.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from oreo.training.batches import Batch
from oreo.training.losses import trajectory_mean
from oreo.training.methods.log_ratios import token_log_ratios, trajectory_log_ratios, whole
from oreo.training.methods.spec import LossOutcome, MethodSpec, Update, given, returns_of
from oreo.training.recipe import Setting
from oreo.training.rows import Example

if TYPE_CHECKING:
    from oreo.training.config import TrainConfig

_EPSILON = 1e-6


def oapl(update: Update, batch: Batch, examples: Sequence[Example]) -> LossOutcome:
    """A row is a trajectory, its baseline the soft value of its game."""
    log_ratio = trajectory_log_ratios(update, batch, examples)
    returns = returns_of(examples).to(log_ratio)
    baseline = torch.tensor([update.surveyed[example.game] for example in examples]).to(log_ratio)
    return LossOutcome(*oapl_loss(log_ratio, returns, baseline, beta=given(update.config.beta)))


def oapl_loss(log_ratio: Tensor, returns: Tensor, baseline: Tensor, *, beta: float) -> tuple[Tensor, dict[str, Tensor]]:
    """(β ρ − (R − V̂))², the mean over trajectories: optimal advantage regression, arXiv 2602.19362.

    At its least, ρ = (R − V̂)/β, π is the policy of most reward for its KL to the one that sampled.

    Args:
        log_ratio: [N] ρ = Σ_t log π(a_t|s_t) − log π_ref(a_t|s_t).
        returns: [N] R.
        baseline: [N] V̂ of each trajectory's game (`soft_values`).
        beta: β.

    Returns:
        The loss (a scalar) and detached metrics: oapl_loss, log_ratio (mean ρ), advantage (mean R − V̂), residual (mean
        |βρ − (R − V̂)|).
    """
    advantage = returns - baseline
    residual = beta * log_ratio - advantage
    loss = residual.square().mean()
    still = residual.detach()
    return loss, {
        "oapl_loss": loss.detach(),
        "log_ratio": log_ratio.detach().mean(),
        "advantage": advantage.mean(),
        "residual": still.abs().mean(),
    }


def soft_values(config: TrainConfig, examples: Sequence[Example]) -> dict[str, float]:
    """V̂ of each game: β log mean exp(R/β) over its samples."""
    beta = given(config.beta)
    values = {}
    for game, returns in _by_game(examples).items():
        exponents = torch.tensor(returns, dtype=torch.float64) / beta
        values[game] = beta * (float(exponents.logsumexp(0)) - math.log(len(returns)))
    return values


def grpo(update: Update, batch: Batch, examples: Sequence[Example]) -> LossOutcome:
    """A row is a trajectory, its advantage how far its return stands from the mean of its game."""
    log_ratio, kl = token_log_ratios(update, batch, kl=True)
    mask, joined = whole(batch.action_mask, examples)
    log_ratio, kl = joined(log_ratio), joined(kl)
    mean, deviation = torch.tensor([update.surveyed[example.game] for example in examples], dtype=torch.float64).T
    advantage = ((returns_of(examples) - mean) / (deviation + _EPSILON)).to(log_ratio)
    loss, metrics = grpo_loss(log_ratio, advantage, mask, clip=given(update.config.clip))
    mean_kl = trajectory_mean(kl, mask)
    loss = loss + given(update.config.beta) * mean_kl
    return LossOutcome(loss, {**metrics, "kl": mean_kl.detach()})


def grpo_loss(log_ratio: Tensor, advantage: Tensor, mask: Tensor, *, clip: float) -> tuple[Tensor, dict[str, Tensor]]:
    """−min( ρ A, clip(ρ, 1−ε, 1+ε) A ), ρ = π/π_ref of a token: equation 3 of arXiv 2402.03300, without its KL term.

    The mean inside each trajectory, then over trajectories.

    Args:
        log_ratio: [N, A] log ρ.
        advantage: [N] A of each trajectory.
        mask: [N, A] True at actions.
        clip: ε.

    Returns:
        The loss (a scalar) and detached metrics: policy_loss, clipped (share of tokens that have no gradient).
    """
    advantage = advantage[:, None]
    ratio = torch.where(mask, log_ratio, 0.0).exp()
    bounded = ratio.clamp(1 - clip, 1 + clip)
    loss = -trajectory_mean(torch.minimum(ratio * advantage, bounded * advantage), mask)
    stopped = (bounded * advantage < ratio * advantage).to(loss.dtype)
    return loss, {"policy_loss": loss.detach(), "clipped": trajectory_mean(stopped, mask)}


def standings(config: TrainConfig, examples: Sequence[Example]) -> dict[str, tuple[float, float]]:
    """Mean and standard deviation of the returns of each game."""
    standing = {}
    for game, returns in _by_game(examples).items():
        numbers = torch.tensor(returns, dtype=torch.float64)
        standing[game] = (float(numbers.mean()), float(numbers.std(correction=0)))
    return standing


def _by_game(examples: Sequence[Example]) -> dict[str, list[float]]:
    returns: dict[str, list[float]] = {}
    for example, of_example in zip(examples, returns_of(examples).tolist(), strict=True):
        returns.setdefault(example.game, []).append(of_example)
    return returns


OAPL = MethodSpec(
    name="oapl",
    about="regresses a trajectory's log-ratio on its return less the soft value of its game's samples",
    loss=oapl,
    needs_reward=True,
    fields=("beta", "reward"),
    survey=soft_values,
    defaults={
        "lr": Setting(5e-7, "as dpo, which also moves whole trajectories"),
        "epochs": Setting(1, "as dpo"),
        "beta": Setting(0.1, "as dpo; its authors tune it by task"),
    },
)
GRPO = MethodSpec(
    name="grpo",
    about="moves a trajectory's tokens by how its return stands among its game's samples, as far as a clip lets it",
    loss=grpo,
    needs_reward=True,
    fields=("beta", "reward", "clip"),
    survey=standings,
    defaults={
        "lr": Setting(1e-6, "arXiv 2402.03300"),
        "epochs": Setting(1, "arXiv 2402.03300: one pass over each round's samples"),
        "beta": Setting(0.04, "arXiv 2402.03300; the KL is the exact one here, and an estimate there"),
        "clip": Setting(0.2, "arXiv 1707.06347 (PPO)"),
    },
)
