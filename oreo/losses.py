"""OREO's losses under their short name; they live in oreo/training/losses.py."""

from __future__ import annotations

from oreo.training.losses import merge_steps, nll_loss, policy_loss, trajectory_mean, value_loss

__all__ = ["merge_steps", "nll_loss", "policy_loss", "trajectory_mean", "value_loss"]
