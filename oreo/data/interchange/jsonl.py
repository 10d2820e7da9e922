"""Plain JSON lines with the names of this package: an episode is an object with the fields of `oreo.Trajectory`.

All fields but `steps` may be left out, and of a step all but `action`. What this writes holds everything.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import MISSING, fields, replace
from typing import Any

from oreo.data.interchange.endings import with_outcome
from oreo.data.interchange.spec import (
    Episode,
    Format,
    Misfit,
    Reading,
    Result,
    besides,
    checked,
    field,
    has,
    joined,
    parsed,
)
from oreo.data.records import RENAMED, checked_record, from_record, to_record
from oreo.trajectory import Candidate, Step, Trajectory

_OBJECTS = ("env_kwargs", "extra")


def _read(row: Any, reading: Reading) -> Iterable[Result]:
    names = {item.name for item in fields(Trajectory)}
    own = {item.name for item in fields(Step)}
    steps = []
    for at, given in enumerate(field(row, "steps", list)):
        where = f"steps[{at}]"
        field(given, "action", str, where)
        step = {RENAMED.get(name, name): value for name, value in given.items()}
        unknown = sorted(set(step) - own)
        if unknown:
            raise Misfit(f"{where} has the field {unknown[0]}, and a step has {', '.join(sorted(own))}")
        whole = _defaults(Step) | {"observation": ""} | step | {"candidates": _candidates(step, where)}
        steps.append(whole if reading.thoughts else whole | {"turn": None})
    values: dict[str, Any] = {name: row[name] for name in names & set(row) if row[name] is not None}
    for name in _OBJECTS:
        values[name] = json.dumps(_object(values.get(name, {}), name))
    outcome_known = "won" in values
    values = _defaults(Trajectory) | {"env_id": reading.env, "final_observation": "", "won": False} | values
    values.setdefault("terminated", values["won"])
    values.setdefault("truncated", not values["terminated"])
    values["steps"] = steps
    trajectory = from_record(checked_record(values))
    if outcome_known and not any("reward" in step for step in row["steps"]):
        trajectory = replace(trajectory, steps=with_outcome(trajectory.steps, float(trajectory.won)))
    more = besides(row, *names, "length", "episode_return")
    if more:
        trajectory = replace(trajectory, extra=joined(more, trajectory.extra))
    return [Episode(trajectory, outcome_known)]


def _object(value: Any, name: str) -> dict[str, Any]:
    """A dict; also one that is written as a JSON text, as buffers have it."""
    return dict(checked(parsed(value, name), name, dict))


def _candidates(step: dict[str, Any], where: str) -> list[Any]:
    given = checked(step.get("candidates", []), f"{where}.candidates", list)
    return [_defaults(Candidate) | item if isinstance(item, dict) else item for item in given]


def _defaults(record: type) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for item in fields(record):
        if item.default is not MISSING:
            values[item.name] = item.default
        elif item.default_factory is not MISSING:
            values[item.name] = item.default_factory()
    return values


def _write(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    for trajectory in trajectories:
        record = to_record(trajectory)
        del record["length"], record["episode_return"]  # what follows from the steps
        record |= {name: json.loads(record[name]) for name in _OBJECTS}
        yield record


FORMAT = Format(
    name="jsonl",
    about="plain JSON lines with the fields of oreo.Trajectory and, in steps, of oreo.Step",
    fits=lambda row: (
        has(row, "steps") and isinstance(row["steps"], list) and any(has(s, "action") for s in row["steps"])
    ),
    read=_read,
    tells_actions=True,
    write=_write,
)
