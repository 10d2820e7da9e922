"""Preference pairs, of ETO (arXiv 2403.02502) and of TRL: `prompt`, `chosen`, `rejected`.

They are two conversations with one beginning, in messages of `from` and `value` (ETO) or `role` and `content` (TRL), or
three texts. TRL's may leave out `prompt`; what both sides begin with then is in both. The chosen episode counts as won.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from oreo.data.interchange.chat import read_messages
from oreo.data.interchange.conversations import AGENT, ENVIRONMENT, Message, instructions, take_apart
from oreo.data.interchange.endings import ended
from oreo.data.interchange.sharegpt import messages_of, without_prefix
from oreo.data.interchange.spec import Format, Reading, Result, besides, field, has

_SIDES = (("chosen", True), ("rejected", False))


def _read(row: Any, reading: Reading) -> Iterable[Result]:
    prompt = _messages(row, "prompt", ENVIRONMENT) if row.get("prompt") is not None else []
    for side, won in _SIDES:
        messages = prompt + _messages(row, side, AGENT)
        count = instructions(messages)
        messages, prefix = without_prefix(messages, count)
        yield from ended(
            take_apart(messages, reading, count),
            reading,
            float(won),
            besides(row, "prompt", "chosen", "rejected"),
            prefix,
            {"side": side},
            grade="" if won else "rejected",
        )


def _messages(row: Any, name: str, who: str) -> list[Message]:
    value = field(row, name, object)
    if isinstance(value, str):
        return [Message(who, value)]
    if isinstance(value, list) and value and has(value[0], "from"):
        return messages_of(row, name)
    return read_messages(value, name)


def _fits(row: Any) -> bool:
    return has(row, "chosen", "rejected") and all(isinstance(row[name], str | list) for name, _ in _SIDES)


FORMAT = Format(
    name="pairs",
    about="preference pairs of ETO and TRL: prompt, chosen, rejected",
    fits=_fits,
    read=_read,
)
