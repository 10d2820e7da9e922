"""ATIF 1.x, the agent trajectory interchange format of Harbor: `schema_version`, `agent`, `steps`.

A step of the agent holds the observation that answers it; user and system steps stand before. The format has no reward
of its own: ours stand under `extra.oreo` of the trajectory, and of each step what else has no place. Where there is
none, `extra.reward` counts, or nothing says how it ended.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from oreo.data.interchange.chat import with_action
from oreo.data.interchange.conversations import (
    AGENT,
    ENVIRONMENT,
    SYSTEM,
    Message,
    put_together,
    take_apart,
    text_of,
)
from oreo.data.interchange.endings import INFO, ended, told_of
from oreo.data.interchange.spec import (
    Format,
    Misfit,
    Reading,
    Result,
    besides,
    checked,
    field,
    has,
    number,
)
from oreo.trajectory import Trajectory

VERSION = "ATIF-v1.6"
"""What is written; it has all that is needed."""
_SOURCES = {"agent": AGENT, "user": ENVIRONMENT, "system": SYSTEM}
_OWN = ("step_id", "source", "message", "observation", "tool_calls")


def _read(row: Any, reading: Reading) -> Iterable[Result]:
    version = field(row, "schema_version", str)
    if not version.startswith("ATIF-v1."):
        raise Misfit(f"schema_version is {version!r:.40}, and ATIF-v1 is what is read")
    messages: list[Message] = []
    for at, step in enumerate(field(row, "steps", list)):
        messages += _messages(step, f"steps[{at}]")
    extra = checked(row.get("extra") or {}, "extra", dict)
    agent = checked(row.get("agent") or {}, "agent", dict)
    other_fields = {name: value for name, value in extra.items() if name not in (INFO, "reward")}
    return ended(
        take_apart(messages, reading),
        reading,
        None if extra.get("reward") is None else number(extra["reward"], "extra.reward"),
        besides({**row, "extra": other_fields or None}, "steps"),
        told=extra.get(INFO),
        agent=str(agent.get("name") or ""),
    )


def _messages(step: Any, where: str) -> list[Message]:
    source = _SOURCES.get(field(step, "source", str, where))
    if source is None:
        raise Misfit(f"{where}.source is {step['source']!r:.40}, expected one of {', '.join(_SOURCES)}")
    text = text_of(step.get("message"), f"{where}.message")
    extra = {name: value for name, value in besides(step, *_OWN).items() if value not in ({}, [])}
    calls = checked(step.get("tool_calls") or [], f"{where}.tool_calls", list)
    if calls:
        actions = [
            {
                "name": field(call, "function_name", str, f"{where}.tool_calls[{at}]"),
                "arguments": field(call, "arguments", dict, f"{where}.tool_calls[{at}]"),
            }
            for at, call in enumerate(calls)
        ]
        extra |= {"message": text, "tool_calls": calls}
        text = with_action(text, actions)
    copied = step.get("is_copied_context") is True
    metrics = step.get("metrics")
    tokens = metrics.get("completion_token_ids") if isinstance(metrics, dict) and source == AGENT else None
    messages = [Message(source, text, not copied, extra, tokens)]
    observation = checked(step.get("observation") or {}, f"{where}.observation", dict)
    for at, result in enumerate(checked(observation.get("results") or [], f"{where}.observation.results", list)):
        place = f"{where}.observation.results[{at}]"
        answer = text_of(
            field(result, "content", object, place) if has(result, "content") else None, f"{place}.content"
        )
        # Told apart from a step of the user's by what is always there, if only as null.
        messages.append(Message(ENVIRONMENT, answer, extra={"result": besides(result, "content")}))
    return messages


def _write(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    for trajectory in trajectories:
        steps: list[dict[str, Any]] = []
        for message in put_together(trajectory)[0]:
            extra = dict(message.extra)
            result = extra.pop("result", None)
            answers = message.speaker == ENVIRONMENT and bool(steps) and steps[-1]["source"] == "agent"
            if answers or (result is not None and steps):
                results = steps[-1].setdefault("observation", {"results": []})["results"]
                results.append({**(result if isinstance(result, dict) else {}), "content": message.text})
                continue
            source = next(name for name, who in _SOURCES.items() if who == message.speaker)
            step: dict[str, Any] = {"step_id": len(steps) + 1, "source": source, "message": message.text}
            if "tool_calls" in extra and all(
                has(call, "tool_call_id", "function_name") for call in extra["tool_calls"]
            ):
                step["message"] = extra.pop("message", "")
            else:
                extra.pop("tool_calls", None)
            if not message.imitate:
                step["is_copied_context"] = True
            steps.append(step | {name: value for name, value in extra.items() if name in _STEP})
        other_fields = trajectory.extra.get("extra")
        own = trajectory.extra.get("agent")
        agent = own if isinstance(own, dict) else {}
        yield {
            "schema_version": VERSION,
            "session_id": str(trajectory.extra.get("session_id") or trajectory.game or trajectory.task or "episode"),
            "agent": {"version": "1", **agent, "name": trajectory.agent or "agent"},
            "steps": steps,
            "extra": {
                **(json.loads(json.dumps(other_fields)) if isinstance(other_fields, dict) else {}),
                "reward": trajectory.episode_return,
                INFO: told_of(trajectory),
            },
        }


_STEP = ("timestamp", "model_name", "reasoning_effort", "reasoning_content", "tool_calls", "metrics", "extra")
"""Fields of a step that are written as they were read."""


FORMAT = Format(
    name="atif",
    about="ATIF 1.x (Harbor): schema_version, agent, steps with tool_calls and observation",
    fits=lambda row: has(row, "schema_version", "steps") and str(row["schema_version"]).startswith("ATIF"),
    read=_read,
    write=_write,
    container="files",
)
