"""Log-ratios to the reference, of single tokens and of whole trajectories, whatever sequences these are cut into.

B sequences of T positions, which belong to N trajectories with A actions at most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from oreo.training.batches import Batch
from oreo.training.methods.spec import Update
from oreo.training.preferences import sequence_log_ratio
from oreo.training.rows import Example


def token_log_ratios(update: Update, batch: Batch, *, kl: bool) -> tuple[Tensor, Tensor]:
    """[B, T] ρ, and the exact KL to the reference where it is wanted. One that is only logged has no backward pass."""
    log_prob, reference_log_prob, divergence = update.policy(
        batch.input_ids, batch.action_mask, reference=update.reference, kl=kl, packing=batch.packing
    )
    return log_prob - reference_log_prob, divergence


def trajectory_log_ratios(update: Update, batch: Batch, examples: Sequence[Example]) -> Tensor:
    """[N] log-ratio of each trajectory of the rows, over all its pieces."""
    log_ratio, _ = token_log_ratios(update, batch, kl=False)
    owner = owners(batch, examples)
    count = sum(len(example.trajectories) for example in examples)
    return sequence_log_ratio(log_ratio, batch.action_mask, owner, count)


def owners(batch: Batch, examples: Sequence[Example]) -> Tensor:
    """[B] int64: which of the rows' N trajectories a sequence belongs to."""
    sizes = [len(pieces) for example in examples for pieces in example.trajectories]
    owner = torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
    return owner.to(batch.input_ids.device)


def whole(action_mask: Tensor, examples: Sequence[Example]) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
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
