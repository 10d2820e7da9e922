"""verifiers 0.x: `results.jsonl`, a rollout a line: `example_id, prompt, completion, reward, answer, info, error, …`.

A row with `error` is no loss and holds no episode. What a metric is, nothing says: all that is not read goes to
`extra`. Rewards of steps, which a row has no place for, are written into `info`, and read from there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from oreo.data.interchange.chat import alternating, read_messages, write_messages
from oreo.data.interchange.conversations import put_together, take_apart
from oreo.data.interchange.endings import INFO, ended, told_of
from oreo.data.interchange.messages import completion
from oreo.data.interchange.spec import (
    Format,
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

_READ = ("prompt", "completion", "reward", "is_truncated", "error")


def _read(row: Any, reading: Reading) -> Iterable[Result]:
    if row.get("error"):
        return [SetAside(f"the rollout ended by an error ({str(row['error']).splitlines()[0]:.60})")]
    reward = number(field(row, "reward", object), "reward")
    messages = read_messages(field(row, "prompt", object), "prompt") + completion(field(row, "completion", object))
    info = checked(row.get("info") or {}, "info", (dict, str))
    told = info.get(INFO) if isinstance(info, dict) else None
    more = {name: value for name, value in info.items() if name != INFO} if isinstance(info, dict) else info
    return ended(
        take_apart(messages, reading),
        reading,
        reward,
        besides({**row, "info": more or None}, *_READ),
        over=row.get("is_truncated") is not True,
        told=told,
    )


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
