"""A training method of one's own: imitation in which each trajectory counts by its return.

oreo train runs/kitchen --method examples/weighted_imitation.py:weighted --output checkpoints/weighted --lr 5e-4
"""

import torch

from oreo.training.methods.log_ratios import owners
from oreo.training.methods.spec import LossOutcome


def weighted(update, batch, examples):
    """Σ R · (mean of −log π over a trajectory's tokens to imitate), the mean over trajectories, R its return."""
    log_prob, _, _ = update.policy(batch.input_ids, batch.imitate, packing=batch.packing)  # [B, T]
    owner, count = owners(batch, examples), len(examples)  # a trajectory may be in several sequences

    def total(entries):  # [B, T] -> [count]
        return torch.zeros(count, device=entries.device).index_add(0, owner, entries.float().sum(1))

    nll = -total(log_prob * batch.imitate) / total(batch.imitate).clamp(min=1)
    return LossOutcome((nll * total(batch.reward)).mean(), {"nll": nll.detach().mean()})
