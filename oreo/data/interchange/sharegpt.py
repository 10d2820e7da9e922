"""ShareGPT, as ETO publishes expert episodes (arXiv 2403.02502): `conversations: [{from, value}]`, `id`, `game_file`.

The outcome is in `reward` where there is one, and else nowhere. Observations may begin with "Observation: ", which is
taken off and put on again. AgentInstruct's and AgentGym's rows have `loss` besides (agentgym.py).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from oreo.data.interchange.conversations import (
    AGENT,
    ENVIRONMENT,
    Message,
    instructions,
    put_together,
    speaker,
    take_apart,
    text_of,
)
from oreo.data.interchange.endings import ended
from oreo.data.interchange.spec import (
    Format,
    Misfit,
    Reading,
    Result,
    SetAside,
    besides,
    checked,
    field,
    has,
    number,
)
from oreo.trajectory import Trajectory

_GAME = ("game_file", "gamefile")
_PREFIX = "Observation: "


def messages_of(row: Any, name: str = "conversations") -> list[Message]:
    """The messages of a row: `from` and `value`, or `role` and `content`; `loss` false is not to be imitated."""
    messages = []
    for at, item in enumerate(field(row, name, list)):
        where = f"{name}[{at}]"
        if not isinstance(item, dict):
            raise Misfit(f"{where} is no object with from and value")
        role, text = ("from", "value") if "from" in item else ("role", "content")
        who = speaker(field(item, role, str, where), f"{where}.{role}")
        loss = checked(item.get("loss"), f"{where}.loss", (bool, type(None)))
        extra = besides(item, role, text, "loss")
        messages.append(
            Message(who, text_of(field(item, text, object, where), f"{where}.{text}"), loss is not False, extra)
        )
    return messages


def without_prefix(messages: list[Message], first: int) -> tuple[list[Message], dict[str, Any]]:
    """The observations without "Observation: ", where all but the first have it; and what says so in `extra`.

    Args:
        first: where the first observation is.
    """
    later = [at for at in range(first + 1, len(messages)) if messages[at].speaker == ENVIRONMENT]
    if not later or not all(messages[at].text.startswith(_PREFIX) for at in later):
        return messages, {}
    stripped = list(messages)
    for at in later:
        stripped[at] = replace(messages[at], text=messages[at].text[len(_PREFIX) :])
    return stripped, {"observation_prefix": _PREFIX}


def with_prefix(trajectory: Trajectory, messages: list[Message], instructed: int) -> list[Message]:
    """The inverse, of messages of which some are instructions."""
    prefix = _PREFIX if trajectory.extra.get("observation_prefix") == _PREFIX else ""
    return [
        replace(message, text=prefix + message.text) if at > instructed and message.speaker == ENVIRONMENT else message
        for at, message in enumerate(messages)
    ]


def read_row(row: Any, reading: Reading, instructed: int | None = None) -> Iterable[Result]:
    """The episode of a row; also of AgentGym's."""
    if has(row, "conversations") and row["conversations"] is None:
        return [SetAside("it has no conversation (conversations is null)")]
    messages = messages_of(row)
    count = instructions(messages) if instructed is None else instructed
    messages, prefix = without_prefix(messages, count)
    return ended(
        take_apart(messages, reading, count),
        reading,
        None if row.get("reward") is None else number(row["reward"], "reward"),
        besides(row, "conversations", "reward", *_GAME),
        prefix,
        game=next((checked(row[name], name, str) for name in _GAME if row.get(name) is not None), ""),
    )


def rows_of(trajectories: Iterable[Trajectory], *, loss: bool = False) -> Iterator[dict[str, Any]]:
    """Rows; with `loss`, as AgentGym has them."""
    for trajectory in trajectories:
        conversations: list[dict[str, Any]] = []
        for message in with_prefix(trajectory, *put_together(trajectory)):
            of_agent = message.speaker == AGENT
            item: dict[str, Any] = {
                "from": "gpt" if of_agent else "human" if message.speaker == ENVIRONMENT else "system",
                "value": message.text,
            }
            if loss:
                item["loss"] = message.imitate if of_agent else None
            conversations.append(item | message.extra)
        row: dict[str, Any] = {"id": trajectory.extra.get("id", trajectory.game or trajectory.task)}
        row["conversations"] = conversations
        if trajectory.game:
            row["game_file"] = trajectory.game
        yield row | {"reward": trajectory.episode_return}


def _fits(row: Any) -> bool:
    if not has(row, "conversations") or has(row, "meta"):
        return False
    items = row["conversations"]
    return isinstance(items, list) and all(has(item, "from", "value") for item in items[:4])


FORMAT = Format(
    name="sharegpt",
    about="ShareGPT as ETO publishes expert episodes: conversations [{from, value}], id, game_file",
    fits=_fits,
    read=read_row,
    write=rows_of,
    container="json",
)
