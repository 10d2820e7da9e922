"""verifiers 0.x: `results.jsonl`, a rollout a line: `example_id, prompt, completion, reward, answer, info, error, …`.

A row with `error` is no loss and holds no episode. What a metric is, nothing says: all that is not read goes to
`extra`. Rewards of steps, which a row has no place for, are written into `info`, and read from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from oreo.data.interchange.chat import alternating, read_messages, write_messages
from oreo.data.interchange.conversations import put_together, take_apart, with_outcome
from oreo.data.interchange.messages import completion
from oreo.data.interchange.sharegpt import WHOLE
from oreo.data.interchange.spec import (
    Episode,
    Format,
    Reading,
    Result,
    SetAside,
    besides,
    checked,
    field,
    has,
    joined,
    number,
)
from oreo.trajectory import Step, Trajectory

_TEXTS = ("env_id", "game", "task", "task_type", "dialect", "grade", "agent", "checkpoint", "created")
_FLAGS = ("won", "terminated", "truncated")
_READ = ("prompt", "completion", "reward", "is_truncated", "error")
INFO = "oreo"
"""Under this name of `info`, what no field of a row has a place for."""


def _read(row: Any, reading: Reading) -> Iterable[Result]:
    if row.get("error"):
        return [SetAside(f"the rollout ended by an error ({str(row['error']).splitlines()[0]:.60})")]
    reward = number(field(row, "reward", object), "reward")
    messages = read_messages(field(row, "prompt", object), "prompt") + completion(field(row, "completion", object))
    conversation = take_apart(messages, reading)
    if not conversation.steps:
        return [SetAside("it has no turn of an agent")]
    info = checked(row.get("info") or {}, "info", (dict, str))
    told = info.get(INFO) if isinstance(info, dict) else None
    won = reward >= WHOLE
    cut = row.get("is_truncated") is True
    more = {"info": {name: value for name, value in info.items() if name != INFO} if isinstance(info, dict) else info}
    trajectory = Trajectory(
        reading.env,
        with_outcome(conversation.steps, reward),
        conversation.final_observation,
        terminated=not cut,
        truncated=cut,
        won=won,
        extra=joined(besides({**row, "info": more["info"] or None}, *_READ), conversation.extra),
    )
    return [Episode(with_told(trajectory, told))]


def told_of(trajectory: Trajectory) -> dict[str, Any]:
    """What a row of this format has no place for, in JSON types."""
    return {
        **{name: getattr(trajectory, name) for name in (*_TEXTS, *_FLAGS, "seed")},
        "rewards": [step.reward for step in trajectory.steps],
    }


def with_told(trajectory: Trajectory, told: Any) -> Trajectory:
    """The inverse; what is not as `told_of` writes it is left alone."""
    if not isinstance(told, dict):
        return trajectory
    rewards = told.get("rewards")
    if isinstance(rewards, list) and len(rewards) == len(trajectory.steps):
        rewards = [number(reward, f"info.{INFO}.rewards[{at}]") for at, reward in enumerate(rewards)]
        paid: list[Step] = [replace(s, reward=reward) for s, reward in zip(trajectory.steps, rewards, strict=True)]
        trajectory = replace(trajectory, steps=tuple(paid))
    facts = {name: told[name] for name in _TEXTS if isinstance(told.get(name), str)}
    facts |= {name: told[name] for name in _FLAGS if isinstance(told.get(name), bool)}
    if type(told.get("seed")) is int:
        facts["seed"] = told["seed"]
    if trajectory.env_id:  # what whoever imports says of it
        facts.pop("env_id", None)
    return replace(trajectory, **facts)


def _write(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    for at, trajectory in enumerate(trajectories):
        messages = write_messages(put_together(trajectory)[0])
        first = alternating(messages, f"episode {at}")
        kept = {name: value for name, value in trajectory.extra.items() if name in _KEPT}
        own = kept.pop("info", None)
        yield {
            "example_id": at,
            "task": trajectory.task_type or "default",
            "answer": "",
            **kept,
            "prompt": messages[:first],
            "completion": messages[first:],
            "reward": trajectory.episode_return,
            "error": None,
            "is_completed": True,
            "is_truncated": trajectory.truncated,
            "info": {**(own if isinstance(own, dict) else {}), INFO: told_of(trajectory)},
        }


_KEPT = ("example_id", "task", "answer", "info", "timing", "stop_condition", "tool_defs", "token_usage", "metrics")


FORMAT = Format(
    name="verifiers-results",
    about="verifiers 0.x, results.jsonl: example_id, prompt, completion, reward, info, error",
    fits=lambda row: has(row, "example_id", "prompt", "completion", "reward"),
    read=_read,
    write=_write,
)
