"""The losses of OREO and DQO (Wang et al., arXiv 2412.16145) as pure functions of tensors, and the one of imitation.

B trajectories, T positions. Every argument is [B, T], and entry t is about the token at position t: its log-ratio
ρ_t = log π_θ(a_t|s_t) − log π_ref(a_t|s_t), the value V(s_t) of the state *before* it, the reward received on it.
`action_mask` is True where the agent wrote the token. Everything elsewhere is ignored, NaN included: there is no state
to learn at an observation token, and a reward counts only on an action token (oreo.encoding.turn_format puts a step's
reward on the last token of its turn). So where the padding stands makes no difference.

Averages are taken inside each trajectory first, then over the batch. A row without any action token has no weight: it
adds nothing and is not counted. Sums run in float32 or wider. The α·KL term of (9) and (10) is the caller's: it needs
whole distributions (oreo.models.loading), and `trajectory_mean` averages it the same way. DPO and KTO:
oreo.training.preferences.

λ and γ count steps: turns, whose first tokens `step_start` marks. The soft Bellman equation can be asked of one step
at a time (3, a step being the action), or telescoped to the end of the episode (7). In between lies, as in TD(λ), the
mixture of all n-step targets. Inside a step the next token tells nothing new, so there it is telescoped always:

    target_t^λ = r_t − β ρ_t + target_{t+1}^λ                                        inside a step
    target_t^λ = r_t − β ρ_t + γ ( (1−λ) V̄(s_{t+1}) + λ target_{t+1}^λ )            at its last token

with V̄ = sg[V], t + 1 the next action token, and 0 behind the last. λ = 1, the default and the paper, has no V̄ in it:
R_t − β Σ_{i≥t} ρ_i where γ = 1. λ = 0 looks no further than the state in which the next step begins. The action's own
ρ_t counts fully whatever λ is. A discount γ is not in the paper (1, the default): with it R_t and the later ρ shrink
by γ for each step in between.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from oreo.errors import UsageError

LEVELS = ("token", "step", "response")


def value_loss(
    value: Tensor,
    log_ratio: Tensor,
    reward: Tensor,
    action_mask: Tensor,
    *,
    beta: float,
    step_start: Tensor | None = None,
    lambda_: float = 1.0,
    gamma: float = 1.0,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Squared error of the telescoped soft Bellman equation, for the value: equation (8).

    L_V = 1/T Σ_t ( V(s_t) − R_t + β Σ_{i≥t} sg[ρ_i] )², or 1/T Σ_t ( V(s_t) − sg[target_t^λ] )². Gradient flows to
    V(s_t) alone, at every action token whatever the level of the policy is: candidates are compared at their ends, and
    a value that is to be read there has to be trained there. (At the paper's step level states are the positions before
    a step; the equation is the same, so these have the same targets here.)

    Args:
        value: [B, T] V(s_t), read before the token.
        log_ratio: [B, T] ρ_t.
        reward: [B, T] r_t; R_t is its undiscounted sum from t on.
        action_mask: [B, T] True (or non-zero) at action tokens.
        beta: weight β of the KL to the reference.
        step_start: [B, T] True at the first token of each step; only for λ or γ below 1.
        lambda_: λ, from 0 to 1; see above.
        gamma: γ, the discount of a step, from 0 to 1.

    Returns:
        The loss (a scalar) and detached metrics: value_loss, value (mean V), value_target (mean of target^λ, with
        λ = 1 of R_t − β Σ ρ), residual (mean |V − target|).

    Raises:
        UsageError: tensors that are not [B, T] or not of a fitting dtype; a negative beta; λ or γ outside 0 … 1, or
            below 1 without step starts.
    """
    value, log_ratio, reward, mask = _prepare(value, log_ratio, reward, action_mask, beta)
    target = _target(reward - beta * log_ratio.detach(), value.detach(), mask, step_start, lambda_, gamma)
    residual = value - target
    loss = trajectory_mean(residual.square(), mask)
    with torch.no_grad():
        metrics = {
            "value_loss": loss.detach(),
            "value": trajectory_mean(value.detach(), mask),
            "value_target": trajectory_mean(target, mask),
            "residual": trajectory_mean(residual.detach().abs(), mask),
        }
    return loss, metrics


def policy_loss(
    value: Tensor,
    log_ratio: Tensor,
    reward: Tensor,
    action_mask: Tensor,
    *,
    beta: float,
    level: str = "token",
    step_start: Tensor | None = None,
    lambda_: float = 1.0,
    gamma: float = 1.0,
    through_later: bool = False,
) -> tuple[Tensor, dict[str, Tensor]]:
    """Squared error of the telescoped soft Bellman equation, for the policy: (9) and (10), without their α·KL.

    token:     1/T Σ_t ( sg[V(s_t)] − R_t + β ρ_t + β Σ_{i>t} sg[ρ_i] )²
    step:      the same over steps instead of tokens, a step's ρ being the sum over its tokens
    response:  ( sg[V(s_0)] − R_0 + β Σ_i ρ_i )², gradient through every token

    With λ below 1: 1/T Σ_t ( sg[V(s_t)] − target_t^λ )², where of target_t^λ only ρ_t, of the action itself, carries
    gradient. DQO (appendix C; arXiv 2410.09302) has the later ones carry it too: `through_later`.

    Args:
        value, log_ratio, reward, action_mask, beta: as in `value_loss`; no gradient flows to `value`.
        level: "token", "step" or "response".
        step_start: [B, T] True at the first token of each step; only for level "step", and for λ or γ below 1.
        lambda_: λ, from 0 to 1; see above. The response level has one state, so nothing to mix: 1 only.
        gamma: γ, the discount of a step, from 0 to 1.
        through_later: no stop-gradient on later log-ratios (the response level never has one).

    Returns:
        The loss (a scalar) and detached metrics: policy_loss, log_ratio (mean ρ over action tokens).

    Raises:
        UsageError: as `value_loss`; an unknown level; level "step" without step starts, or with an action token that
            comes before the first of them; level "response" with λ below 1.
    """
    if level not in LEVELS:
        raise UsageError(f"level {level!r} is none of {', '.join(LEVELS)}")
    if level == "response" and lambda_ != 1:
        raise UsageError(f'lambda_ is {lambda_}, but level "response" has one state and nothing to mix; leave it at 1')
    _check(value=value, log_ratio=log_ratio, reward=reward, action_mask=action_mask)
    mean_log_ratio = trajectory_mean(log_ratio.detach(), action_mask)
    if level == "step":
        if step_start is None:
            raise UsageError('level="step" needs step_start, a [B, T] mask of the first token of each step')
        log_ratio, reward, action_mask = merge_steps(log_ratio, reward, action_mask, step_start)
        step_start = action_mask  # an action is a step now
    value, log_ratio, reward, mask = _prepare(value, log_ratio, reward, action_mask, beta)
    if level == "response":
        first = mask & (mask.cumsum(1) == 1)
        residual = value.detach() - _target(reward - beta * log_ratio, value.detach(), mask, step_start, 1.0, gamma)
        loss = trajectory_mean(residual.square(), first)
    else:
        later = log_ratio if through_later else log_ratio.detach()
        residual = value.detach() - _target(reward - beta * later, value.detach(), mask, step_start, lambda_, gamma)
        # log_ratio - later is zero; unless `later` has it already, it carries the gradient of this action alone.
        residual = residual + beta * (log_ratio - later)
        loss = trajectory_mean(residual.square(), mask)
    return loss, {"policy_loss": loss.detach(), "log_ratio": mean_log_ratio}


def lambda_return(
    reward: Tensor,
    value: Tensor,
    action_mask: Tensor,
    *,
    step_start: Tensor | None = None,
    lambda_: float = 1.0,
    gamma: float = 1.0,
) -> Tensor:
    """[B, T] target^λ without a reference (β = 0): the λ-returns of TD(λ), in which a step is a turn; 0 off the mask.

    Args: as in `value_loss`; no gradient flows.

    Raises:
        UsageError: as `value_loss`.
    """
    nothing = torch.zeros_like(value)
    value, _, reward, mask = _prepare(value.detach(), nothing, reward, action_mask, 0.0)
    return _target(reward, value, mask, step_start, lambda_, gamma)


def nll_loss(log_prob: Tensor, mask: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
    """Negative log-likelihood, the mean over all marked tokens of the batch (imitation: SFT, rejection sampling).

    Args:
        log_prob: [B, T] log π(a_t|s_t).
        mask: [B, T] True at the tokens to imitate.

    Returns:
        The loss (a scalar, 0 where nothing is marked) and detached metrics: nll.
    """
    _check(log_prob=log_prob, mask=mask)
    marked = mask != 0
    wide = torch.where(marked, _widen(log_prob), 0.0)
    loss = -wide.sum() / marked.sum().clamp(min=1)
    return loss, {"nll": loss.detach()}


def trajectory_mean(entries: Tensor, mask: Tensor) -> Tensor:
    """Mean of [B, T] entries over the marked ones of each row, then over the rows that have any; 0 if none has."""
    _check(entries=entries, mask=mask)
    marked = mask != 0
    count = marked.sum(1)
    rows = torch.where(marked, _widen(entries), 0.0).sum(1) / count.clamp(min=1)
    return rows.sum() / (count > 0).sum().clamp(min=1)


def merge_steps(
    log_ratio: Tensor, reward: Tensor, action_mask: Tensor, step_start: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Make each step one action: sums of log-ratio and reward over its action tokens, put at its first token.

    Args: all [B, T], as in `policy_loss`. A step reaches from its start to the next one.

    Returns:
        log_ratio, reward and a mask of the step starts, all [B, T]; entries at other positions are 0.

    Raises:
        UsageError: an action token before the first step start of its row.
    """
    _check(log_ratio=log_ratio, reward=reward, action_mask=action_mask, step_start=step_start)
    mask = action_mask != 0
    start = (step_start != 0) & mask
    step = start.cumsum(1) - 1
    if bool((mask & (step < 0)).any()):
        raise UsageError("step_start has to mark the first action token of every trajectory")

    def merged(entries: Tensor) -> Tensor:
        entries = torch.where(mask, _widen(entries), 0.0)
        sums = torch.zeros_like(entries).scatter_add(1, step.clamp(min=0), entries)
        return torch.where(start, sums.gather(1, step.clamp(min=0)), 0.0)

    return merged(log_ratio), merged(reward), start


def _prepare(
    value: Tensor, log_ratio: Tensor, reward: Tensor, action_mask: Tensor, beta: float
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Check, widen, and put zero where the mask is False. `where` keeps NaN there out of gradients as well."""
    _check(value=value, log_ratio=log_ratio, reward=reward, action_mask=action_mask)
    if not (math.isfinite(beta) and beta >= 0):
        raise UsageError(f"beta is {beta}; expected 0 or more")
    mask = action_mask != 0
    value, log_ratio, reward = (torch.where(mask, _widen(x), 0.0) for x in (value, log_ratio, reward))
    return value, log_ratio, reward, mask


def _check(**tensors: Tensor) -> None:
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if any(len(shape) != 2 for shape in shapes.values()) or len(set(shapes.values())) != 1:
        listed = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
        raise UsageError(f"expected tensors of one shape [batch, length], got {listed}")
    for name, tensor in tensors.items():
        if tensor.is_complex() or (name in ("value", "log_ratio", "log_prob") and not tensor.is_floating_point()):
            raise UsageError(f"{name} has dtype {tensor.dtype}; expected a floating-point tensor")


def _widen(tensor: Tensor) -> Tensor:
    """At least float32: sums over hundreds of bfloat16 log-ratios would lose what they are made of."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _target(
    gain: Tensor, value: Tensor, mask: Tensor, step_start: Tensor | None, lambda_: float, gamma: float
) -> Tensor:
    """[B, T] target^λ at the marked positions, from r − βρ and V, both zero elsewhere. Linear in both.

    The recursion y_t = x_t + c_t y_{t+1} is unrolled by doubling: after k rounds y_t holds the terms up to x_{t+2^k−1},
    and c_t the product of as many factors. That is log₂ T operations on whole tensors in place of T on columns, in a
    graph that long.
    """
    for name, number in (("lambda_", lambda_), ("gamma", gamma)):
        if not 0 <= number <= 1:
            raise UsageError(f"{name} is {number}; expected a number from 0 to 1")
    if lambda_ == gamma == 1:
        return _suffix_sum(gain)
    if step_start is None:
        raise UsageError("lambda_ and gamma count steps: they need step_start, a [B, T] mask of their first tokens")
    _check(action_mask=mask, step_start=step_start)
    # What follows an action is the next action, so they are first moved together, to the left.
    slots = torch.arange(mask.shape[1], device=mask.device) < mask.sum(1, keepdim=True)
    gain, value, start = (
        torch.zeros_like(x).masked_scatter(slots, x[mask]) for x in (gain, value, (step_start != 0).to(gain.dtype))
    )
    ends_step = _shifted(start, 1) != 0
    target = gain + torch.where(ends_step, gamma * (1 - lambda_) * _shifted(value, 1), 0.0)
    factor = torch.ones_like(gain).masked_fill(ends_step, gamma * lambda_)
    reach = 1
    while reach < mask.shape[1]:
        target, factor = target + factor * _shifted(target, reach), factor * _shifted(factor, reach)
        reach *= 2
    return torch.zeros_like(target).masked_scatter(mask, target[slots])


def _shifted(entries: Tensor, by: int) -> Tensor:
    """[B, T]: entry t becomes entry t + by, 0 behind the end."""
    return torch.nn.functional.pad(entries[:, by:], (0, by))


def _suffix_sum(entries: Tensor) -> Tensor:
    """[B, T]: entry t becomes the sum of entries t, t+1, …, T−1."""
    return entries.flip(1).cumsum(1).flip(1)
