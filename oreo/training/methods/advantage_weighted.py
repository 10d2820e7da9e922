"""AWR (arXiv 1910.00177) and IQL (arXiv 2110.06169): turns are imitated by the exponential of their advantage.

Both have a value V of states and no Q. AWR regresses V on what the data's own policy got, by TD(λ), and the advantage
of a turn is that λ-return less V (with λ below 1, generalized advantage estimation, 1506.02438). IQL asks what the
better of its actions would get: an expectile of one-step targets in place of their mean. It reads these off a Q of its
own; here they are r + γ V(s'), which is the same where an action has one outcome. Where outcomes are chance, an
expectile takes luck for skill, and V promises too much.

A step is a turn. V is trained at every token of a turn, with the target of the turn, since candidates are compared at
their ends; the advantage is that of the turn as a whole, read where it begins.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from oreo.errors import UsageError
from oreo.training.batches import Batch
from oreo.training.losses import lambda_return, trajectory_mean
from oreo.training.methods.log_ratios import whole
from oreo.training.methods.oreo import first_and_middle
from oreo.training.methods.spec import OF_IMITATION, LossOutcome, MethodSpec, Update, given
from oreo.training.recipe import Setting
from oreo.training.rows import Example


def advantage_weighted(update: Update, batch: Batch, examples: Sequence[Example]) -> LossOutcome:
    """Regression of the value on λ-returns, and imitation of turns by their advantage."""
    config = update.config
    value = update.value(batch.input_ids, batch.action_mask, packing=batch.packing)
    mask, joined = whole(batch.action_mask, examples)
    value, reward, step_start = joined(value), joined(batch.reward), joined(batch.step_start)

    def target(lambda_: float) -> Tensor:
        return lambda_return(reward, value.detach(), mask, step_start=step_start, lambda_=lambda_, gamma=config.gamma)

    # A target taken from a value that has not learnt yet overshoots, so it first learns from what was received.
    value_lambda = 1.0 if update.value_only else given(config.value_lambda)
    expectile = 0.5 if config.expectile is None else config.expectile
    loss, metrics = expectile_loss(value, target(value_lambda), mask, expectile=expectile)
    if not update.value_only:
        log_prob, _, _ = update.policy(batch.input_ids, batch.action_mask, packing=batch.packing)
        advantage = at_step_start(target(given(config.policy_lambda)) - value.detach(), step_start, mask)
        weight = (advantage / given(config.beta)).exp().clamp(max=given(config.max_weight))
        imitate = joined(batch.imitate) & mask
        # One with no turn to imitate counts as well, so that it makes no difference which of them come together.
        imitated = torch.where(imitate, weight * joined(log_prob), 0.0).sum(1) / imitate.sum(1).clamp(min=1)
        on_policy = -imitated.mean()
        loss = loss + on_policy
        metrics |= {
            "policy_loss": on_policy.detach(),
            "advantage": trajectory_mean(advantage, step_start & mask),
            "weight": trajectory_mean(weight, imitate),
        }
    return LossOutcome(loss, metrics, first_and_middle(value.detach(), mask))


def expectile_loss(
    value: Tensor, target: Tensor, mask: Tensor, *, expectile: float
) -> tuple[Tensor, dict[str, Tensor]]:
    """2 |τ − 1(y < V)| (y − V)²: equation 5 of arXiv 2110.06169, doubled, so that τ = ½ is the squared error.

    The mean inside each trajectory, then over trajectories.

    Args:
        value: [N, A] V(s_t).
        target: [N, A] y_t; no gradient flows to it.
        mask: [N, A] True at actions.
        expectile: τ, between 0 and 1: the larger, the more V is what the better outcomes are.

    Returns:
        The loss (a scalar) and detached metrics: value_loss, value (mean V), value_target (mean y), residual (mean
        |V − y|).

    Raises:
        UsageError: τ is not between 0 and 1.
    """
    if not 0 < expectile < 1:
        raise UsageError(f"expectile is {expectile}; expected a number between 0 and 1")
    residual = target.detach() - value
    side = torch.where(residual < 0, 1 - expectile, expectile)
    loss = trajectory_mean(2 * side * residual.square(), mask)
    return loss, {
        "value_loss": loss.detach(),
        "value": trajectory_mean(value.detach(), mask),
        "value_target": trajectory_mean(target, mask),
        "residual": trajectory_mean(residual.detach().abs(), mask),
    }


def at_step_start(entries: Tensor, step_start: Tensor, mask: Tensor) -> Tensor:
    """[N, A] entries at the first action of each step, repeated over all of its actions; actions stand to the left."""
    place = torch.arange(entries.shape[1], device=entries.device).expand_as(entries)
    begins = torch.where(step_start & mask, place, 0).cummax(1).values
    return torch.where(mask, entries.gather(1, begins), 0.0)


_FIELDS = ("beta", "value_lambda", "policy_lambda", "gamma", "reward", "max_weight", *OF_IMITATION)
_AS_SFT = "as sft"
_AS_OREO = "as OREO"
AWR = MethodSpec(
    name="awr",
    about="imitates turns by the exponential of their advantage, and learns a value by TD(λ)",
    loss=advantage_weighted,
    value=True,
    reference=False,
    needs_reward=True,
    fields=_FIELDS,
    defaults={
        "lr": Setting(2e-5, _AS_SFT),
        "value_lr": Setting(5e-6, _AS_OREO),
        "epochs": Setting(3, _AS_OREO),
        "beta": Setting(0.3, "ours, for returns of 0 to 1; its authors tune it by task"),
        "value_lambda": Setting(0.95, "arXiv 1910.00177, λ of TD(λ)"),
        "policy_lambda": Setting(0.95, "arXiv 1910.00177, λ of TD(λ)"),
        "max_weight": Setting(20.0, "arXiv 1910.00177"),
    },
)
IQL = MethodSpec(
    name="iql",
    about="imitates turns by the exponential of their advantage over an expectile value, which learns from the next",
    loss=advantage_weighted,
    value=True,
    reference=False,
    needs_reward=True,
    fields=(*_FIELDS, "expectile"),
    defaults={
        "lr": Setting(2e-5, _AS_SFT),
        "value_lr": Setting(5e-6, _AS_OREO),
        "epochs": Setting(3, _AS_OREO),
        "beta": Setting(0.33, "arXiv 2110.06169, locomotion: an inverse temperature of 3"),
        "expectile": Setting(0.7, "arXiv 2110.06169, locomotion"),
        "value_lambda": Setting(0.0, "arXiv 2110.06169: one step"),
        "policy_lambda": Setting(0.0, "arXiv 2110.06169: one step"),
        "max_weight": Setting(100.0, "arXiv 2110.06169, code"),
    },
)
