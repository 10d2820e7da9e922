"""Rendering a chat template, which is a program that came with somebody's model.

It runs in transformers' sandbox, for a limited time, in limited memory, and with numbers that are no bigger than those
of a conversation: one multiplication of large ones takes hours, in which no Python runs that could look at the clock. A
template that asks for the date is told the same one every day: what is collected today is learnt from tomorrow.
"""

from __future__ import annotations

import contextlib
import gc
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from oreo.errors import DataError

_DATE = datetime(2024, 7, 26)
"""Llama 3.1's own default."""
_SECONDS = 5.0
"""A conversation of a few words is rendered in milliseconds; two loops, one inside the other, take hours."""
_MEMORY = 128 << 20
"""Bytes that may be added to the address space of this process while a template is rendered."""
_BITS = 1024
"""Of a whole number; beyond it are no counts of anything, and a floating-point number is of 1024 at most."""
_TEMPLATE = "<template>"
"""What Jinja calls the file that its programs are from."""


class _Late(BaseException):
    """The time is over. No Exception, since filters may pass over these."""


def rendered(tokenizer: Any, messages: list[dict[str, str]]) -> str:
    """The text of a conversation, up to where the assistant begins.

    Raises:
        DataError: the template cannot render it, or takes too long.
    """
    try:
        with _one_date(), _small_numbers(), _little_memory(), _limited():
            return str(tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
    except (Exception, _Late) as error:  # whatever a template raises, in Jinja or in the Python it calls
        reason = str(error) or type(error).__name__
        if isinstance(error, MemoryError):
            reason = f"it takes more than {_MEMORY >> 20} MB"
        elif isinstance(error, _Late):
            reason = f"it takes more than {_SECONDS:g} s"
        raise DataError(f"the chat template cannot render {messages[0]['role']} and user turns: {reason}") from error


@contextlib.contextmanager
def _limited() -> Iterator[None]:
    """Stop a template at the first of its lines, or call of a Python function, that comes when the time is over.

    Meanwhile no garbage is collected. What is raised in the functions that a collection calls is passed over, and this
    watch, like every trace function that has raised, would not be called again.
    """
    end = time.monotonic() + _SECONDS

    def at_line(frame: FrameType, event: str, argument: Any) -> Any:
        if time.monotonic() > end:
            raise _Late
        return at_line

    def at_call(frame: FrameType, event: str, argument: Any) -> Any:
        at_line(frame, event, argument)  # filters are Python of others, and loop as well
        return at_line if frame.f_code.co_filename == _TEMPLATE else None

    before, collects = sys.gettrace(), gc.isenabled()
    gc.disable()
    sys.settrace(at_call)
    try:
        yield
    finally:
        sys.settrace(before)
        if collects:
            gc.enable()


@contextlib.contextmanager
def _little_memory() -> Iterator[None]:
    """Let this process grow by no more than `_MEMORY`, where the system can: a text of gigabytes takes one call."""
    try:
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    except (ImportError, OSError, ValueError):  # not on Linux
        yield
        return
    most = pages * resource.getpagesize() + _MEMORY
    if soft == resource.RLIM_INFINITY or most < soft:
        resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


@contextlib.contextmanager
def _small_numbers() -> Iterator[None]:
    """While inside, transformers compiles templates for a sandbox that refuses to compute with huge whole numbers."""
    from transformers.utils import chat_template_utils as module

    real = module.ImmutableSandboxedEnvironment
    module.ImmutableSandboxedEnvironment = _bounded(real)
    try:
        yield
    finally:
        module.ImmutableSandboxedEnvironment = real


@cache
def _bounded(sandbox: type[Any]) -> type[Any]:
    """The sandbox with arithmetic, and the one filter that computes powers, held to `_BITS`."""

    class Bounded(sandbox):
        intercepted_binops = frozenset(sandbox.default_binop_table)

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            # Optimized, the compiler works out what is constant, and passes over the errors that this raises.
            super().__init__(*args, **{**kwargs, "optimized": False})
            rounded = self.filters["round"]
            self.filters["round"] = lambda value, precision=0, method="common": rounded(
                _small(value), _small(precision, 100), method
            )

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            left, right = _small(left), _small(right)
            if operator == "**" and isinstance(left, int) and isinstance(right, int):
                _small(right, _BITS // max(1, left.bit_length()))
            return super().call_binop(context, operator, left, right)

    return Bounded


def _small(value: Any, most: int = 1 << _BITS) -> Any:
    """The value. Raises OverflowError for a whole number beyond `most`."""
    if isinstance(value, int) and abs(value) > most:
        raise OverflowError("it computes with numbers that are too large")
    return value


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
