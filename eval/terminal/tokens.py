"""What is known of one token of a turn."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Token:
    """A token that was said, or would have to be."""

    id: int
    text: str = ""
    """As the tokenizer writes it; empty where no tokenizer is at hand."""
    log_prob: float | None = None
    """Natural logarithm of its probability under the policy, at temperature 1."""
    value: float | None = None
    """V of the state after it."""
