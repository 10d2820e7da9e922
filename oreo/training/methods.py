"""Where methods differ: the loss of one micro-batch, what the mean of a batch runs over, which models take part.

What a row of the data is, oreo.training.rows.encode_all says; the formulas are in oreo.training.losses and
oreo.training.preferences; the loop that all methods share is oreo.training.trainer.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from oreo.encoding.turn_format import Encoded
from oreo.models.scorers import Policy
from oreo.training.batches import Batch
from oreo.training.config import TrainConfig
from oreo.training.losses import merge_steps, nll_loss, policy_loss, trajectory_mean, value_loss
from oreo.training.preferences import dpo_loss, kto_loss, sequence_log_ratio
from oreo.training.rows import Example


@dataclass(frozen=True)
class Update:
    """What all micro-batches of one update share."""

    config: TrainConfig
    policy: Any
    """Called as `oreo.models.scorers.Policy`."""
    value: Any = None
    """Called as `oreo.models.scorers.Value`."""
    reference: Policy | None = None
    value_only: bool = False
    """Whether only the value is trained."""
    reference_point: Tensor | None = None
    """KTO's z, of the whole batch."""


class Outcome(NamedTuple):
    """Of one micro-batch. Every metric is a mean over its rows, so that those of a batch are weighted means."""

    loss: Tensor
    metrics: dict[str, Tensor]
    values: Tensor | None = None
    """[N, 2] V at the first and the middle action of each trajectory, where there is a value."""


@dataclass(frozen=True)
class Method:
    """Args of `loss`: the update, the padded micro-batch (the pieces of its rows one after the other), and its rows."""

    loss: Callable[[Update, Batch, Sequence[Example]], Outcome]
    weight: Callable[[Example], int]
    """How much a row counts in the batch's mean."""
    reference: bool = True
    """Whether it knows a frozen copy of the starting policy."""
    value: bool = False
    """Whether it trains a value model."""


def imitation(update: Update, batch: Batch, examples: Sequence[Example]) -> Outcome:
    """SFT and rejection sampling. Turns that are not to be imitated are state like any observation."""
    log_prob, _, _ = update.policy(batch.input_ids, batch.imitate, packing=batch.packing)
    return Outcome(*nll_loss(log_prob, batch.imitate))


def soft_bellman(update: Update, batch: Batch, examples: Sequence[Example]) -> Outcome:
    """OREO, and DQO: its token level without KL term and without stop-gradient on later log-ratios."""
    config = update.config
    value = update.value(batch.input_ids, batch.action_mask, packing=batch.packing)
    if update.value_only:
        # The policy still is the reference: log-ratio and KL are zero, and need no forward pass to know it.
        log_ratio = kl = torch.zeros_like(value)
    else:
        log_ratio, kl = _log_ratio(update, batch, kl=True)
    mask, joined = _whole(batch.action_mask, examples)
    value, log_ratio, kl, reward, step_start = map(joined, (value, log_ratio, kl, batch.reward, batch.step_start))
    terms = (log_ratio, reward, mask)
    beta = float(config.beta or 0.0)
    states = merge_steps(*terms, step_start) if config.level == "step" else terms
    loss, metrics = value_loss(value, *states, beta=beta, lambda_=config.lambda_)
    if not update.value_only:
        on_policy, more = policy_loss(
            value,
            *terms,
            beta=beta,
            level=config.level,
            step_start=step_start,
            lambda_=config.lambda_,
            through_later=config.method == "dqo",
        )
        mean_kl = trajectory_mean(kl, mask)
        loss = loss + on_policy
        if config.alpha:
            loss = loss + config.alpha * mean_kl
        metrics |= {**more, "kl": mean_kl.detach()}
    return Outcome(loss, metrics, _first_and_middle(value.detach(), mask))


def preferred(update: Update, batch: Batch, examples: Sequence[Example]) -> Outcome:
    """DPO. A row is a pair: the won trajectory, then the lost one."""
    sums = trajectory_log_ratios(update, batch, examples).view(-1, 2)
    return Outcome(*dpo_loss(sums[:, 0], sums[:, 1], beta=float(update.config.beta or 0.0)))


def desired(update: Update, batch: Batch, examples: Sequence[Example]) -> Outcome:
    """KTO. A row is a trajectory, desirable if won."""
    assert update.reference_point is not None
    sums = trajectory_log_ratios(update, batch, examples)
    won = torch.tensor([example.won for example in examples], device=sums.device)
    config = update.config
    return Outcome(
        *kto_loss(
            sums,
            won,
            update.reference_point,
            beta=float(config.beta or 0.0),
            desirable_weight=config.desirable_weight,
            undesirable_weight=config.undesirable_weight,
        )
    )


def trajectory_log_ratios(update: Update, batch: Batch, examples: Sequence[Example]) -> Tensor:
    """[N] log-ratio of each trajectory of the rows, over all its pieces."""
    sizes = [len(pieces) for example in examples for pieces in example.trajectories]
    owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(batch.input_ids.device)
    log_ratio, _ = _log_ratio(update, batch, kl=False)
    return sequence_log_ratio(log_ratio, batch.action_mask, owner, len(sizes))


def mismatched(examples: Sequence[Example], max_length: int | None) -> list[Example]:
    """KTO's pairs (x_i, y_j) of a prompt and a completion that belongs to another one: one for each row of a batch.

    j is the next row in the batch's order that is of another game, round the corner; where all are of one game, the
    next. x_i is what stands before the first action token of i; y_j everything from the first action token of j on,
    observations included, which are state as ever. Of a trajectory in pieces, each piece y gets x_i before it, so that
    log-ratios are sums over as many turns as those they are compared with. What is more than `max_length` tokens is
    cut, since no reward is at stake: z is a little smaller for it.
    """
    made = []
    for index, example in enumerate(examples):
        others = [examples[(index + step) % len(examples)] for step in range(1, len(examples) + 1)]
        other = next((each for each in others if each.name != example.name), others[0])
        prompt = example.pieces[0]
        pieces = tuple(_joined(prompt, piece, max_length) for piece in other.pieces)
        made.append(Example((pieces,), other.won, other.name))
    return made


def _joined(prompt: Encoded, completion: Encoded, max_length: int | None) -> Encoded:
    before, start = int(prompt.action_mask.argmax()), int(completion.action_mask.argmax())
    return Encoded(
        **{
            name: np.concatenate([getattr(prompt, name)[:before], getattr(completion, name)[start:]])[:max_length]
            for name in vars(prompt)
        }
    )


def _log_ratio(update: Update, batch: Batch, *, kl: bool) -> tuple[Tensor, Tensor]:
    """[B, T] ρ, and the exact KL to the reference where it is wanted. One that is only logged has no backward pass."""
    log_prob, reference_log_prob, divergence = update.policy(
        batch.input_ids, batch.action_mask, reference=update.reference, kl=kl, packing=batch.packing
    )
    return log_prob - reference_log_prob, divergence


def _whole(action_mask: Tensor, examples: Sequence[Example]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    """Whole trajectories, whatever pieces they are in: their actions alone, one after the other.

    Returns:
        a [N, A] mask of the actions of N trajectories, and what brings [B, T] entries of the pieces into that shape.
    """
    pieces = torch.tensor([len(example.pieces) for example in examples], device=action_mask.device)
    trajectory = torch.repeat_interleave(torch.arange(len(examples), device=action_mask.device), pieces)
    counts = torch.zeros_like(pieces).index_add(0, trajectory, action_mask.sum(1))
    mask = torch.arange(int(counts.max()), device=action_mask.device) < counts[:, None]

    def joined(entries: Tensor) -> Tensor:
        return torch.zeros(mask.shape, dtype=entries.dtype, device=entries.device).masked_scatter(
            mask, entries[action_mask]
        )

    return mask, joined


def _first_and_middle(value: Tensor, action_mask: Tensor) -> Tensor:
    """[N, 2] V at the first action and at the one in the middle, by count."""
    order = action_mask.cumsum(1)
    middle = (order[:, -1:] + 1) // 2
    first = (action_mask & (order == 1)).long().argmax(1, keepdim=True)
    half = (action_mask & (order == middle)).long().argmax(1, keepdim=True)
    return value.gather(1, torch.cat([first, half], dim=1))


def _tokens(example: Example) -> int:
    """Imitation's mean runs over tokens."""
    return sum(int(piece.imitate.sum()) for piece in example.pieces)


def _one(example: Example) -> int:
    return 1


METHODS = {
    "sft": Method(imitation, _tokens, reference=False),
    "rejection": Method(imitation, _tokens, reference=False),
    "dpo": Method(preferred, _one),
    "kto": Method(desired, _one),
    "dqo": Method(soft_bellman, _one, value=True),
    "oreo": Method(soft_bellman, _one, value=True),
}
"""By the names of oreo.training.config.METHODS."""
