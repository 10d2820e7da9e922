"""OREO (arXiv 2412.16145) and DQO (arXiv 2410.09302): policy and value by the soft Bellman equation.

Both update the value with the log-ratios of the current policy, then the policy with the values from before that
update. Both losses therefore look at quantities from before either update, and neither sends gradient to the other's
model: computing both from one pair of forward passes and then stepping both optimisers is that very order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from oreo.training.batches import Batch
from oreo.training.losses import policy_loss, trajectory_mean, value_loss
from oreo.training.methods.log_ratios import token_log_ratios, whole
from oreo.training.methods.spec import LossOutcome, MethodSpec, Update, given
from oreo.training.recipe import Setting
from oreo.training.rows import Example


def oreo(update: Update, batch: Batch, examples: Sequence[Example]) -> LossOutcome:
    """Equations 8 to 10, and their α·KL."""
    return _soft_bellman(update, batch, examples, through_later=False)


def dqo(update: Update, batch: Batch, examples: Sequence[Example]) -> LossOutcome:
    """OREO's token level without KL term and without stop-gradient on later log-ratios."""
    return _soft_bellman(update, batch, examples, through_later=True)


def _soft_bellman(update: Update, batch: Batch, examples: Sequence[Example], *, through_later: bool) -> LossOutcome:
    config = update.config
    value = update.value(batch.input_ids, batch.action_mask, packing=batch.packing)
    if update.value_only:
        # The policy still is the reference: log-ratio and KL are zero, and need no forward pass to know it.
        log_ratio = kl = torch.zeros_like(value)
    else:
        log_ratio, kl = token_log_ratios(update, batch, kl=True)
    mask, joined = whole(batch.action_mask, examples)
    value, log_ratio, kl, reward, step_start = map(joined, (value, log_ratio, kl, batch.reward, batch.step_start))
    terms: dict[str, Any] = dict(
        log_ratio=log_ratio,
        reward=reward,
        action_mask=mask,
        step_start=step_start,
        beta=given(config.beta),
        gamma=config.gamma,
    )
    # A target taken from a value that has not learnt yet overshoots, so it first learns from what was received.
    value_lambda = 1.0 if update.value_only else given(config.value_lambda)
    loss, metrics = value_loss(value, **terms, lambda_=value_lambda)
    if not update.value_only:
        on_policy, more = policy_loss(
            value, **terms, level=config.level, lambda_=given(config.policy_lambda), through_later=through_later
        )
        mean_kl = trajectory_mean(kl, mask)
        loss = loss + on_policy
        if config.alpha:
            loss = loss + config.alpha * mean_kl
        metrics |= {**more, "kl": mean_kl.detach()}
    return LossOutcome(loss, metrics, first_and_middle(value.detach(), mask))


def first_and_middle(value: Tensor, action_mask: Tensor) -> Tensor:
    """[N, 2] V at the first action and at the one in the middle, by count."""
    order = action_mask.cumsum(1)
    middle = (order[:, -1:] + 1) // 2
    first = (action_mask & (order == 1)).long().argmax(1, keepdim=True)
    half = (action_mask & (order == middle)).long().argmax(1, keepdim=True)
    return value.gather(1, torch.cat([first, half], dim=1))


_APPENDIX = "paper, appendix: table of hyper-parameters, ALFWorld"
_AS_OREO = "as OREO; DQO is in the paper's table 3 without settings"
OREO = MethodSpec(
    name="oreo",
    about="learns policy and value from all trajectories",
    loss=oreo,
    value=True,
    needs_reward=True,
    fields=("beta", "alpha", "level", "value_lambda", "policy_lambda", "gamma", "reward"),
    defaults={
        "lr": Setting(5e-6, _APPENDIX),
        "value_lr": Setting(5e-6, _APPENDIX),
        "epochs": Setting(3, _APPENDIX, code=5),
        "beta": Setting(0.03, _APPENDIX),
        "value_lambda": Setting(1.0, "equations 7 and 8"),
        "policy_lambda": Setting(1.0, "equations 7 and 9"),
        "alpha": Setting({"token": 0.01, "step": 0.1, "response": 0.3}, "paper, appendix, by level"),
    },
)
DQO = MethodSpec(
    name="dqo",
    about="learns policy and value from all trajectories, later log-ratios carrying gradient too",
    loss=dqo,
    value=True,
    needs_reward=True,
    fields=("beta", "alpha", "value_lambda", "policy_lambda", "gamma", "reward"),
    defaults={
        "lr": Setting(5e-6, _AS_OREO),
        "value_lr": Setting(5e-6, _AS_OREO),
        "epochs": Setting(3, _AS_OREO),
        "beta": Setting(0.03, _AS_OREO),
        "value_lambda": Setting(1.0, _AS_OREO),
        "policy_lambda": Setting(1.0, _AS_OREO),
        "alpha": Setting(0.0, "arXiv 2410.09302 has no KL term"),
    },
    fixed={"alpha": "dqo has no KL term; leave alpha out, or train by method 'oreo'"},
)
