"""Rendering a chat template, which is a program that came with somebody's model.

It runs in transformers' sandbox and for a limited time. A template that asks for the date is told the same one every
day: what is collected today is learnt from tomorrow.
"""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from types import FrameType
from typing import Any

from oreo.errors import DataError

_DATE = datetime(2024, 7, 26)
"""Llama 3.1's own default."""
_SECONDS = 5.0
"""A conversation of a few words is rendered in milliseconds; two loops, one inside the other, take hours."""
_TEMPLATE = "<template>"
"""What Jinja calls the file that its programs are from."""


def rendered(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    """The text of a conversation, up to where the assistant begins.

    Raises:
        DataError: the template cannot render it, or takes too long.
    """
    try:
        with _one_date(), _limited():
            return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except Exception as error:  # whatever a template raises, in Jinja or in the Python it calls
        reason = str(error) or type(error).__name__  # of a MemoryError there is no more to say
        raise DataError(f"the chat template cannot render {messages[0]['role']} and user turns: {reason}") from error


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Stop a template at the first of its lines that runs when the time is over."""
    end = time.monotonic() + _SECONDS

    def at_line(frame: FrameType, event: str, argument: Any) -> Any:
        if time.monotonic() > end:
            raise TimeoutError(f"it takes more than {_SECONDS:g} s")
        return at_line

    def at_call(frame: FrameType, event: str, argument: Any) -> Any:
        return at_line(frame, event, argument) if frame.f_code.co_filename == _TEMPLATE else None

    before = sys.gettrace()
    sys.settrace(at_call)
    try:
        yield
    finally:
        sys.settrace(before)


class _Always(datetime):
    """Says that it is the day of `_DATE`."""

    @classmethod
    def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
        return _DATE


@contextlib.contextmanager
def _one_date() -> Iterator[None]:
    """While inside, templates that ask transformers for the date are told the same one every day.

    Templates get it from a function of transformers' own, which looks at `datetime` in its module; what a caller gives
    them in its place is turned into text before they can call it (since transformers 5.24).
    """
    from transformers.utils import chat_template_utils as module

    real = module.datetime
    module.datetime = _Always
    try:
        yield
    finally:
        module.datetime = real
