"""Conversations as OpenAI and TRL have them: `messages`, or `prompt` and `completion`, with `tools` beside them.

Nothing says how an episode ended, but for a column `reward`, or KTO's `label`. `weight` 0 is a turn not to be imitated.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from oreo.data.interchange.chat import read_messages, write_messages
from oreo.data.interchange.conversations import AGENT, Message, put_together, take_apart
from oreo.data.interchange.endings import ended
from oreo.data.interchange.spec import (
    Format,
    Reading,
    Result,
    besides,
    checked,
    field,
    has,
    number,
)
from oreo.trajectory import Trajectory

_GAMES = ("game", "game_file", "gamefile")


def _read(row: Any, reading: Reading) -> Iterable[Result]:
    if has(row, "messages"):
        messages = read_messages(row["messages"], "messages")
    else:
        messages = read_messages(field(row, "prompt", object), "prompt") + completion(field(row, "completion", object))
    name = next((name for name in ("reward", "label") if row.get(name) is not None), "")
    return ended(
        take_apart(messages, reading),
        reading,
        number(row[name], name) if name else None,
        besides(row, "messages", "prompt", "completion", name, *_GAMES),
        game=next((checked(row[key], key, str) for key in _GAMES if row.get(key) is not None), ""),
    )


def completion(value: Any) -> list[Message]:
    """The messages of a completion; a text is one of the assistant's."""
    return [Message(AGENT, value)] if isinstance(value, str) else read_messages(value, "completion")


def _write(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    for trajectory in trajectories:
        row: dict[str, Any] = {"messages": write_messages(put_together(trajectory)[0])}
        if trajectory.extra.get("tools"):
            row["tools"] = trajectory.extra["tools"]
        if trajectory.game:
            row["game"] = trajectory.game
        yield row | {"reward": trajectory.episode_return}


def _fits(row: Any) -> bool:
    # verifiers' rows have an example_id, Inspect's and others' what belongs to a whole run.
    if has(row, "messages"):
        return isinstance(row["messages"], list) and all(has(item, "role") for item in row["messages"][:4])
    if not has(row, "prompt", "completion") or has(row, "example_id"):
        return False
    return all(isinstance(row[name], str) or isinstance(row[name], list) for name in ("prompt", "completion"))


FORMAT = Format(
    name="messages",
    about="messages of OpenAI and TRL: messages, or prompt and completion; tool_calls, tools",
    fits=_fits,
    read=_read,
    write=_write,
)
