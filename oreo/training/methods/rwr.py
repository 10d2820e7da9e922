"""Reward-weighted regression (Peters and Schaal, ICML 2007): imitation, weighted by the exponential of the return."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from torch import Tensor

from oreo.errors import UsageError
from oreo.training.batches import Batch
from oreo.training.losses import nll_loss
from oreo.training.methods import sft
from oreo.training.methods.log_ratios import owners
from oreo.training.methods.spec import OF_IMITATION, LossOutcome, MethodSpec, Update, given, returns_of
from oreo.training.recipe import Setting
from oreo.training.rows import Example

if TYPE_CHECKING:
    from oreo.training.config import TrainConfig


def rwr(update: Update, batch: Batch, examples: Sequence[Example]) -> LossOutcome:
    """Negative log-likelihood of the turns to imitate, each trajectory with its weight."""
    log_prob, _, _ = update.policy(batch.input_ids, batch.imitate, packing=batch.packing)
    weight = return_weights(returns_of(examples), update.surveyed, beta=given(update.config.beta)).to(log_prob)
    loss, _ = nll_loss(log_prob * weight[owners(batch, examples)][:, None], batch.imitate)
    _, metrics = nll_loss(log_prob.detach(), batch.imitate)
    return LossOutcome(loss, {"rwr_loss": loss.detach(), **metrics})


def tokens(example: Example) -> int:
    """As SFT; a trajectory with nothing to imitate counts as one token, since a batch of such ones is one too."""
    return max(1, sft.tokens(example))


def return_weights(returns: Tensor, log_mean: float, *, beta: float) -> Tensor:
    """[N] w_i = exp(R_i/β) / mean_j exp(R_j/β), the mean over all trajectories of the data, so that it is 1 there.

    As β goes to 0 only the best trajectories are imitated, which is rejection sampling where rewards are 0 and 1; as it
    grows all are alike, which is SFT.

    Args:
        returns: [N] R, the undiscounted sum of rewards of each trajectory.
        log_mean: log of that mean.
        beta: the temperature β, above 0.

    Raises:
        UsageError: β is not above 0.
    """
    if not beta > 0:
        raise UsageError(f"beta is {beta}; expected a number above 0")
    return (returns / beta - log_mean).exp()


def log_mean_weight(config: TrainConfig, examples: Sequence[Example]) -> float:
    """log of the mean of exp(R/β) over all trajectories."""
    return float((returns_of(examples) / given(config.beta)).logsumexp(0)) - math.log(len(examples))


RWR = MethodSpec(
    name="rwr",
    about="imitates every trajectory, weighted by the exponential of its return",
    loss=rwr,
    weight=tokens,
    reference=False,
    needs_reward=True,
    fields=("beta", "reward", *OF_IMITATION),
    survey=log_mean_weight,
    defaults={
        "lr": Setting(2e-5, "as sft"),
        "epochs": Setting(1, "as rejection"),
        "beta": Setting(0.5, "ours: with rewards 0 and 1 a won trajectory weighs 7.4 times a lost one"),
    },
)
