"""OpenAI's messages ↔ messages: `{role, content, tool_calls}`, as TRL, verifiers, Inspect and others write them.

A turn that calls tools ends in "Action: " and the calls as JSON, `{"name": …, "arguments": {…}}`, a list of them where
there are several: that is the action. The calls as they were written (`arguments` an object or a JSON text, ids) go to
the message's extra, and are written again from there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from oreo.data.interchange.conversations import AGENT, ENVIRONMENT, SYSTEM, Message, speaker, text_of
from oreo.data.interchange.spec import Misfit, checked, field, parsed, plain

_ROLES = {AGENT: "assistant", ENVIRONMENT: "user", SYSTEM: "system"}
_OWN = ("role", "content", "tool_calls", "weight")


def read_messages(items: Any, where: str) -> list[Message]:
    """Messages; a text is one of the user's.

    Raises:
        Misfit: what is no message, naming it.
    """
    if isinstance(items, str):
        return [Message(ENVIRONMENT, items)]
    return [_read(item, f"{where}[{at}]") for at, item in enumerate(checked(items, where, list))]


def _read(item: Any, where: str) -> Message:
    role = field(item, "role", str, where)
    who = speaker(role, f"{where}.role")
    text = text_of(item.get("content"), f"{where}.content")
    weight = checked(item.get("weight"), f"{where}.weight", (float, bool, type(None)))
    extra = {name: plain(value) for name, value in item.items() if name not in _OWN and value not in (None, [], {})}
    if role != _ROLES[who]:
        extra["role"] = role
    text = _refused(item, text, extra)
    calls = item.get("tool_calls")
    if not calls and item.get("function_call") is not None:  # OpenAI's own before there were tools; one a message
        extra["content"] = plain(item.get("content"))
        text = with_action(text, [_call(item["function_call"], f"{where}.function_call")])
    if calls:
        calls = checked(calls, f"{where}.tool_calls", list)
        # verifiers 0.1 keeps each call as a JSON text, for its rows to fit into one table.
        calls = [parsed(call, f"{where}.tool_calls[{at}]") for at, call in enumerate(calls)]
        actions = [_call(call, f"{where}.tool_calls[{at}]") for at, call in enumerate(calls)]
        extra |= {"content": plain(item.get("content")), "tool_calls": plain(calls)}
        text = with_action(text, actions)
    return Message(who, text, weight is None or weight != 0, extra)


def _refused(item: dict[str, Any], text: str, extra: dict[str, Any]) -> str:
    """What a message says; of one in which OpenAI's model refuses, that. `extra` then keeps the content as it was."""
    content, refusal = item.get("content"), item.get("refusal")
    parts = content if isinstance(content, list) else []
    if any(isinstance(part, dict) and part.get("type") == "refusal" for part in parts):
        extra["content"] = plain(content)
    elif not text and isinstance(refusal, str):
        extra["content"], text = plain(content), refusal
    return text


def with_action(text: str, actions: list[dict[str, Any]]) -> str:
    """A turn that says a text and calls tools."""
    action = json.dumps(actions[0] if len(actions) == 1 else actions, ensure_ascii=False)
    return f"{text}\nAction: {action}" if text else f"Action: {action}"


def _call(call: Any, where: str) -> dict[str, Any]:
    """Name and arguments: below `function` as OpenAI has it, or beside each other."""
    record = call["function"] if isinstance(call, dict) and isinstance(call.get("function"), dict) else call
    name = field(record, "name", str, where)
    arguments = record.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments or "{}")
        except (ValueError, RecursionError):
            pass  # what a model wrote that is no JSON stays the text that it is
    return {"name": name, "arguments": plain({} if arguments is None else arguments)}


def write_messages(messages: Iterable[Message]) -> list[dict[str, Any]]:
    """The inverse."""
    written = []
    for message in messages:
        extra = dict(message.extra)
        item: dict[str, Any] = {"role": extra.pop("role", _ROLES[message.speaker]), "content": message.text}
        if "content" in extra:
            item["content"] = extra.pop("content")
        item |= extra
        if not message.imitate:
            item["weight"] = 0
        written.append(item)
    return written


def alternating(messages: list[dict[str, Any]], where: str) -> int:
    """How many messages stand before the first one of the assistant.

    Raises:
        Misfit: there is none.
    """
    for at, message in enumerate(messages):
        if message["role"] == "assistant":
            return at
    raise Misfit(f"{where} has no turn of an agent")
