"""TBRM (arXiv 2505.15311): the Bellman residual of a whole trajectory, with the model's own logits as Q.

Logits z are read as Q/β of the soft Bellman equation, so that log Σ_a exp z(s, a) is V(s)/β and the softmax is the
policy; there is no value model. Summed over a trajectory, all V but the first fall out:

    Σ_t ( z(s_t, a_t) − log π_ref(a_t|s_t) − r_t/β − V(s_{t+1})/β )  =  V(s_1)/β + Σ_t ρ_t − R/β
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from oreo.training.batches import Batch
from oreo.training.methods.log_ratios import owners
from oreo.training.methods.spec import LossOutcome, MethodSpec, Update, given, returns_of
from oreo.training.preferences import sequence_log_ratio
from oreo.training.recipe import Setting
from oreo.training.rows import Example


def tbrm(update: Update, batch: Batch, examples: Sequence[Example]) -> LossOutcome:
    """A row is a trajectory; V is read at its first action, before which the first of its pieces stands."""
    log_prob, reference_log_prob, _, normalizer = update.policy(
        batch.input_ids,
        batch.action_mask,
        reference=update.reference,
        kl=False,
        normalizer=True,
        packing=batch.packing,
    )
    owner = owners(batch, examples)
    log_ratio = sequence_log_ratio(log_prob - reference_log_prob, batch.action_mask, owner, len(examples))
    begins = torch.cat([owner.new_ones(1), owner.diff()]) != 0
    returns = returns_of(examples).to(log_ratio)
    return LossOutcome(*tbrm_loss(normalizer[begins], log_ratio, returns, beta=given(update.config.beta)))


def tbrm_loss(
    normalizer: Tensor, log_ratio: Tensor, returns: Tensor, *, beta: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """( V(s_1)/β + Σ_t ρ_t − R/β )², the mean over trajectories.

    Args:
        normalizer: [N] V(s_1)/β = log Σ_a exp z(s_1, a).
        log_ratio: [N] Σ_t ρ_t.
        returns: [N] R.
        beta: β.

    Returns:
        The loss (a scalar) and detached metrics: tbrm_loss, value (mean V(s_1)), log_ratio (mean Σ ρ), residual (mean
        of its absolute value).
    """
    residual = normalizer + log_ratio - returns / beta
    loss = residual.square().mean()
    return loss, {
        "tbrm_loss": loss.detach(),
        "value": beta * normalizer.detach().mean(),
        "log_ratio": log_ratio.detach().mean(),
        "residual": residual.detach().abs().mean(),
    }


TBRM = MethodSpec(
    name="tbrm",
    about="makes the Bellman residual of each whole trajectory small, its own logits being Q",
    loss=tbrm,
    needs_reward=True,
    fields=("beta", "reward"),
    defaults={
        "lr": Setting(5e-7, "as dpo, which also moves whole trajectories"),
        "epochs": Setting(1, "as dpo"),
        "beta": Setting(0.1, "as dpo"),
    },
)
