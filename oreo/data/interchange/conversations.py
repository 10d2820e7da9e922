"""Messages ↔ steps: what most formats hold is a conversation of an environment and an agent.

What the environment says before a turn is its observation, several messages in one text. Instructions before the first
observation are no turns: a system message, and a first message that is answered by no more than "OK". They go to
`extra["instruction"]`, and are written again from there; what a message has besides its text goes to `extra["turns"]`
or `extra["observations"]`, by the number of its step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from oreo.data.interchange.spec import Misfit, Reading
from oreo.trajectory import Step, Trajectory

AGENT, ENVIRONMENT, SYSTEM = "agent", "environment", "system"
SPEAKERS = {
    **dict.fromkeys(("gpt", "assistant", "agent", "model", "bot", "chatgpt", "ai", "function_call"), AGENT),
    **dict.fromkeys(("human", "user", "tool", "function", "environment", "observation", "ipython"), ENVIRONMENT),
    **dict.fromkeys(("system", "developer"), SYSTEM),
}
_AGREES = re.compile(r"\s*(ok|okay|sure|understood|got it|i understand)\b[^\n:]{0,100}\s*", re.IGNORECASE)


_LINES = "observation_lines"
"""In what is kept of a message that is one of several of an observation: how many lines it has, where not one."""


@dataclass(frozen=True)
class Message:
    """One message."""

    speaker: str
    text: str
    imitate: bool = True
    extra: dict[str, Any] = field(default_factory=dict)
    """What else is known of it."""
    token_ids: Any = None
    """What a file says are the tokens that were sampled for it."""


@dataclass(frozen=True)
class Conversation:
    """A conversation taken apart."""

    steps: tuple[Step, ...]
    final_observation: str
    extra: dict[str, Any]


def speaker(role: Any, where: str) -> str:
    """Who speaks, by the name of a role.

    Raises:
        Misfit: a role that is not known.
    """
    name = SPEAKERS.get(role.lower()) if isinstance(role, str) else None
    if name is None:
        raise Misfit(f"{where} is {role!r:.40}, expected one of {', '.join(SPEAKERS)}")
    return name


def text_of(content: Any, where: str) -> str:
    """The text of a message's content: a text, null, or a list of parts that are texts, or refusals (OpenAI).

    Raises:
        Misfit: it holds something else, such as an image.
    """
    if content is None:
        return ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Misfit(f"{where} is {type(content).__name__}, expected a text, null or a list of parts")
    texts = []
    for at, part in enumerate(content):
        text = part.get("refusal" if part.get("type") == "refusal" else "text") if isinstance(part, dict) else None
        if not isinstance(text, str):
            kind = part.get("type") if isinstance(part, dict) else type(part).__name__
            raise Misfit(f"{where}[{at}] is of the type {kind!r:.30}, and only texts have a place in a turn")
        texts.append(text)
    return "\n".join(texts)


def take_apart(messages: Sequence[Message], reading: Reading, instructed: int | None = None) -> Conversation:
    """Steps from messages.

    Args:
        instructed: how many of the messages are instructions; None: found out as above.
    """
    count = instructions(messages) if instructed is None else instructed
    extra: dict[str, Any] = {}
    if count:
        extra["instruction"] = [_as_record(message) for message in messages[:count]]
    steps: list[Step] = []
    heard: list[Message] = []
    turns: dict[str, Any] = {}
    observations: dict[str, Any] = {}
    for message in messages[count:]:
        if message.speaker != AGENT:
            heard.append(message)
            continue
        place = str(len(steps))
        if records := _extras(heard):
            observations[place] = records
        action, turn = reading.action_and_turn(message.text)
        step = Step(_text(heard), action, turn=turn, imitate=message.imitate)
        if reading.sampled is not None and isinstance(message.token_ids, list):
            step = replace(step, token_ids=reading.sampled(message.token_ids, step.text))
        steps.append(step)
        if message.extra:
            turns[place] = message.extra
        heard = []
    if records := _extras(heard):
        observations[str(len(steps))] = records
    extra |= {name: value for name, value in (("turns", turns), ("observations", observations)) if value}
    return Conversation(tuple(steps), _text(heard), extra)


def _text(heard: Sequence[Message]) -> str:
    return "\n".join(message.text for message in heard)


def _extras(heard: Sequence[Message]) -> list[dict[str, Any]]:
    """What is known of messages that are one observation, if anything; of several, with how many lines each has."""
    if not any(message.extra for message in heard):
        return []
    if len(heard) == 1:
        return [heard[0].extra]
    lines = [message.text.count("\n") + 1 for message in heard]
    return [
        {**message.extra, _LINES: count} if count > 1 else message.extra
        for message, count in zip(heard, lines, strict=True)
    ]


def instructions(messages: Sequence[Message]) -> int:
    """How many of the messages are instructions, before the first observation."""
    count = 0
    while count < len(messages) and messages[count].speaker == SYSTEM:
        count += 1
    following = [message.speaker for message in messages[count : count + 3]]
    if following == [ENVIRONMENT, AGENT, ENVIRONMENT] and _AGREES.fullmatch(messages[count + 1].text):
        count += 2
    return count


def _as_record(message: Message) -> dict[str, Any]:
    return {"speaker": message.speaker, "text": message.text, **({"extra": message.extra} if message.extra else {})}


def put_together(trajectory: Trajectory) -> tuple[list[Message], int]:
    """The messages of an episode, and how many of them are instructions.

    Turns of one message, and what the environment says in it, are one text.
    """
    messages: list[Message] = []
    for record in _records(trajectory.extra.get("instruction")):
        if record.get("speaker") in (AGENT, ENVIRONMENT, SYSTEM) and isinstance(record.get("text"), str):
            messages.append(Message(str(record["speaker"]), record["text"], extra=_object(record.get("extra"))))
    instructed = len(messages)
    turns, observations = (_object(trajectory.extra.get(name)) for name in ("turns", "observations"))
    inside = False
    for index, step in enumerate(trajectory.steps):
        place = str(index)
        if inside:
            last = messages.pop()
            messages.append(replace(last, text=last.text + step.observation + step.text))
        else:
            messages += _observation(step.observation, observations.get(place))
            messages.append(Message(AGENT, step.text, step.imitate, _object(turns.get(place))))
        inside = step.continues_message
    if trajectory.final_observation:
        messages += _observation(trajectory.final_observation, observations.get(str(len(trajectory.steps))))
    return messages, instructed


def _observation(text: str, extras: Any) -> list[Message]:
    """One message; several where it was made of several, and these can be told apart again."""
    records = _records(extras)
    parts = text.split("\n")
    counts = [record.get(_LINES, 1) for record in records]
    whole = all(type(count) is int and count > 0 for count in counts) and sum(counts) == len(parts)
    if len(records) > 1 and whole:
        messages = []
        for record, count in zip(records, counts, strict=True):
            extra = {name: value for name, value in record.items() if name != _LINES}
            messages.append(Message(ENVIRONMENT, "\n".join(parts[:count]), extra=extra))
            del parts[:count]
        return messages
    return [Message(ENVIRONMENT, text, extra=records[0] if len(records) == 1 else {})]


def _records(value: Any) -> list[dict[str, Any]]:
    return [record for record in value if isinstance(record, dict)] if isinstance(value, list) else []


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
