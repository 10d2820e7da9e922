"""What a language model is told of an episode."""

from __future__ import annotations

from oreo.errors import UsageError


def check_context(context: int | None, max_new_tokens: int) -> None:
    if context is not None and context < max_new_tokens + 3:
        raise UsageError(f"context has to be well above max_new_tokens={max_new_tokens}, got {context}")
