"""The models that a language-model agent acts with, loaded into this process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from oreo.agents.settings import AgentConfig


@dataclass(frozen=True)
class Models:
    """What transformers has loaded. A class of `oreo.agents.registry.CHOICES` is built from it."""

    policy: Any
    """Causal language model."""
    tokenizer: Any
    """The policy's, and the value model's."""
    value: Any = None
    """Token-classification model with one label, or None."""
    checkpoint: str = ""
    """Digest of the policy's weights, for the trajectories."""


def load_models(policy_path: str, value_path: str | None, config: AgentConfig) -> Models:
    """Raises DataError where a model cannot be read, UsageError where its dtype or device cannot be had."""
    from oreo.models.loading import load_policy, load_value
    from oreo.models.saving import digest

    loading: dict[str, Any] = {
        "dtype": config.dtype,
        "device": config.device,
        "trust_remote_code": config.trust_remote_code,
    }
    policy, tokenizer = load_policy(policy_path, **loading)
    value = None if value_path is None else load_value(value_path, **loading)
    return Models(policy, tokenizer, value, digest(policy))
