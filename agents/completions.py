"""What OpenAI-compatible servers answer, in the forms that are about: completions, log-probabilities, complaints."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

_LONGEST_TOKEN = 1024
"""Characters of a token at most; the longest of public vocabularies, runs of blanks, have a few hundred."""
_TOO_LONG = re.compile(
    r"context.{0,20}(length|size|window)"
    r"|(prompt|input|request)\b.{0,60}\btoo (long|large)"
    r"|maximum.{0,30}(length|tokens)",
    re.IGNORECASE | re.DOTALL,
)


_ELSEWHERE = ("tool_calls", "function_call", "refusal", "reasoning_content", "reasoning")
"""Fields of a message in which servers put what is no text of a turn."""


@dataclass(frozen=True)
class Sample:
    """One completion."""

    text: str
    log_prob: float | None
    """Summed over its tokens, as the server gives them."""
    cut: bool = False
    """Whether it was ended for its length."""
    ids: tuple[int, ...] | None = None
    """Its tokens without the one that ended it, where they are known."""


class NothingSaid(ValueError):
    """A model that used up its tokens before it said anything, as those do that think first and unseen."""


def read(answer: Any, max_new_tokens: int = 1 << 20) -> list[Sample]:
    """The completions in an answer.

    Args:
        max_new_tokens: those that were asked for at most; a text that is too long for them is none.

    Raises:
        NothingSaid: a completion has no text, for want of tokens.
        ValueError: it is none, or has none.
    """
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices:
        raise ValueError("no choices in it")
    return [_sample(choice, max_new_tokens) for choice in sorted(choices, key=_place)]


def _place(choice: Any) -> int:
    index = choice.get("index") if isinstance(choice, dict) else None
    return index if isinstance(index, int) else 0


def _sample(choice: Any, max_new_tokens: int) -> Sample:
    try:
        text = choice["text"] if "text" in choice else choice["message"]["content"]
    except (KeyError, TypeError):
        raise ValueError("a choice without a message") from None
    if text is not None and not isinstance(text, str):
        raise ValueError(f"a message that is a {type(text).__name__}")
    # Whatever ended it but the model itself (its length, a filter, …), its end is not the model's.
    cut = choice.get("finish_reason") not in ("stop", "tool_calls", "function_call", None)
    if not text and cut:
        raise NothingSaid("no text before the tokens were used up")
    if text is None or (not text and _said_otherwise(choice)):
        raise ValueError("a message without text")
    if len(text) > _LONGEST_TOKEN * (max_new_tokens + 1):
        raise ValueError(f"{len(text):,} characters where {max_new_tokens} tokens were asked for")
    return Sample(well_formed(text), _log_prob(choice.get("logprobs")), cut)


def _said_otherwise(choice: dict[str, Any]) -> bool:
    """Whether a choice without text is none of a model that ended its turn at once, which is a turn like any other."""
    message = choice.get("message")
    elsewhere = message if isinstance(message, dict) else {}
    return choice.get("finish_reason") in ("tool_calls", "function_call") or any(map(elsewhere.get, _ELSEWHERE))


def well_formed(text: str) -> str:
    """The text with U+FFFD in place of halves of surrogate pairs, which no file and no tokenizer takes."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _log_prob(logprobs: Any) -> float | None:
    """The sum over all tokens, of either of the protocol's two forms; None where it is not all there."""
    if not isinstance(logprobs, dict):
        return None
    tokens, numbers = logprobs.get("content"), logprobs.get("token_logprobs")
    if isinstance(tokens, list):
        numbers = [token.get("logprob") if isinstance(token, dict) else None for token in tokens]
    if not isinstance(numbers, list) or not numbers:
        return None
    # Beyond these bounds it is no logarithm of a probability (some servers write 9999 for "unknown").
    if not all(isinstance(number, int | float) and -1e4 < number < 1e-3 for number in numbers):
        return None
    return math.fsum(numbers)


def error_message(body: Any) -> str:
    """The message in the body of an error; servers have several forms of it."""
    for key in ("message", "detail", "error"):
        if isinstance(body, dict) and body.get(key):
            return error_message(body[key])
    return str(body or "no message")


def is_about_length(complaint: str) -> bool:
    """Whether a server complains that the prompt is too long for its model; there is no common code for it."""
    return _TOO_LONG.search(complaint) is not None
