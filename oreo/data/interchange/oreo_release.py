"""The data that the OREO paper released (arXiv 2412.16145): maths `prompt, response, reward`, ALFWorld `conversations
[{role, content}], reward`. Its rollouts are read as ETO's (eto.py).

A response is one message, and its lines are its steps, as they are in `oreo/Math-v0`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from oreo.data.interchange.conversations import AGENT, ENVIRONMENT, Conversation, instructions, put_together, take_apart
from oreo.data.interchange.endings import ended
from oreo.data.interchange.sharegpt import messages_of, with_prefix, without_prefix
from oreo.data.interchange.spec import Format, Reading, Result, SetAside, besides, field, has, number
from oreo.trajectory import Step, Trajectory

_MATH = "oreo/Math-v0"
_LINE = re.compile(r"[^\n]*\n|[^\n]+")


def _read_math(row: Any, reading: Reading) -> Iterable[Result]:
    prompt, response = field(row, "prompt", str), field(row, "response", str)
    reward = number(field(row, "reward", object), "reward")
    lines = _LINE.findall(response)
    if not lines:
        return [SetAside("it has no response")]
    last = len(lines) - 1
    steps = [Step("" if at else prompt, line, continues_message=at < last) for at, line in enumerate(lines)]
    return ended(
        Conversation(tuple(steps), "", {}),
        reading if reading.env else replace(reading, env=_MATH),
        reward,
        besides(row, "prompt", "response", "reward"),
        over=True,
        task=prompt,
    )


def _write_math(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    for trajectory in trajectories:
        steps = trajectory.steps
        prompt = steps[0].observation if steps else trajectory.task
        response = "".join(("" if at == 0 else step.observation) + step.text for at, step in enumerate(steps))
        yield {"prompt": prompt, "response": response, "reward": trajectory.episode_return}


def _fits_math(row: Any) -> bool:
    return has(row, "prompt", "response", "reward") and isinstance(row["prompt"], str)


MATH = Format(
    name="oreo-math",
    about="the OREO paper's maths: prompt, response, reward; the lines of a response are its steps",
    fits=_fits_math,
    read=_read_math,
    tells_actions=True,
    write=_write_math,
)


def _read_alfworld(row: Any, reading: Reading) -> Iterable[Result]:
    reward = number(field(row, "reward", object), "reward")
    messages = messages_of(row)
    count = instructions(messages)
    messages, prefix = without_prefix(messages, count)
    return ended(take_apart(messages, reading, count), reading, reward, besides(row, "conversations", "reward"), prefix)


def _write_alfworld(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    roles = {AGENT: "assistant", ENVIRONMENT: "user"}
    for trajectory in trajectories:
        messages = with_prefix(trajectory, *put_together(trajectory))
        conversation = [{"role": roles.get(message.speaker, "system"), "content": message.text} for message in messages]
        yield {"conversations": conversation, "reward": trajectory.episode_return}


def _fits_alfworld(row: Any) -> bool:
    if not has(row, "conversations", "reward") or has(row, "meta") or not isinstance(row["conversations"], list):
        return False
    return bool(row["conversations"]) and all(has(item, "role", "content") for item in row["conversations"][:4])


ALFWORLD = Format(
    name="oreo-alfworld",
    about="the OREO paper's ALFWorld episodes: conversations [{role, content}], reward",
    fits=_fits_alfworld,
    read=_read_alfworld,
    write=_write_alfworld,
)
