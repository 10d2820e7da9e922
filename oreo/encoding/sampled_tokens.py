"""Tokens of a turn that somebody else's sampler recorded: are they what we would store of that turn?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def sampled_tokens(tokenizer: Any, ids: Sequence[int], text: str) -> tuple[int, ...] | None:
    """The tokens of a turn as `Step.token_ids` has them, without those that ended it.

    Args:
        tokenizer: of the model that sampled.
        ids: as they were recorded, with or without the special tokens at the end of a turn.
        text: the turn that is stored.

    Returns:
        None where they do not say this text: they are another tokenizer's, or the turn was put together from something
        else, such as calls of tools.
    """
    most = len(tokenizer)
    if not all(type(token) is int and 0 <= token < most for token in ids):
        return None
    special, end = set(tokenizer.all_special_ids), len(ids)
    while end and ids[end - 1] in special:
        end -= 1
    own = list(ids[:end])
    said = tokenizer.decode(own, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return tuple(own) if said == text else None
