"""What OpenAI-compatible servers answer, in the forms that are about: completions, log-probabilities, complaints."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

_TOO_LONG = re.compile(
    r"context.{0,20}(length|size|window)"
    r"|(prompt|input|request)\b.{0,60}\btoo (long|large)"
    r"|maximum.{0,30}(length|tokens)",
    re.IGNORECASE | re.DOTALL,
)


@dataclass(frozen=True)
class Sample:
    """One completion."""

    text: str
    log_prob: float | None
    """Summed over its tokens, as the server gives them."""
    cut: bool = False
    """Whether it was ended for its length."""


def read(answer: Any) -> list[Sample]:
    """The completions in an answer.

    Raises:
        ValueError: it is none.
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices:
        raise ValueError("no choices in it")
    return [_sample(choice) for choice in sorted(choices, key=_place)]


def _place(choice: Any) -> int:
    index = choice.get("index") if isinstance(choice, dict) else None
    return index if isinstance(index, int) else 0


def _sample(choice: Any) -> Sample:
    try:
        text = choice["text"] if "text" in choice else choice["message"]["content"]
    except (KeyError, TypeError):
        raise ValueError("a choice without a message") from None
    if text is not None and not isinstance(text, str):
        raise ValueError(f"a message that is a {type(text).__name__}")
    return Sample(text or "", _log_prob(choice.get("logprobs")), choice.get("finish_reason") == "length")


def _log_prob(given: Any) -> float | None:
    """The sum over all tokens, of either of the protocol's two forms; None where it is not all there."""
    if not isinstance(given, dict):
        return None
    tokens, numbers = given.get("content"), given.get("token_logprobs")
    if isinstance(tokens, list):
        numbers = [token.get("logprob") if isinstance(token, dict) else None for token in tokens]
    if not isinstance(numbers, list) or not numbers:
        return None
    # Beyond these bounds it is no logarithm of a probability (some servers write 9999 for "unknown").
    if not all(isinstance(number, int | float) and -1e4 < number < 1e-3 for number in numbers):
        return None
    return math.fsum(numbers)


def said(body: Any) -> str:
    """The message in the body of an error; servers have several forms of it."""
    for key in ("message", "detail", "error"):
        if isinstance(body, dict) and body.get(key):
            return said(body[key])
    return str(body or "no message")


def is_about_length(complaint: str) -> bool:
    """Whether a server complains that the prompt is too long for its model; there is no common code for it."""
    return _TOO_LONG.search(complaint) is not None
