"""Trajectory ↔ record (JSON types) ↔ Arrow: how an episode is written down, and read back exactly as it was.

One row an episode, its steps a nested list, so that any Parquet tool can look at it. Two columns are there for such
tools only: `length` and `episode_return`. `env_kwargs` is a JSON text, since every environment has keys of its own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from oreo.errors import DataError
from oreo.trajectory import Candidate, Step, Trajectory

VERSION = 3
"""Of the schema; a reader refuses a higher one. 2: steps have `context_start`, 0 in what version 1 stored. 3: they have
`continues_message`, False in what earlier ones stored, and episodes a `grade`, empty in those."""
FORMAT = "oreo-trajectories"

_CANDIDATE = pa.struct(
    [
        pa.field("text", pa.string(), nullable=False),
        pa.field("log_prob", pa.float64()),
        pa.field("value", pa.float64()),
    ]
)
_STEP = pa.struct(
    [
        pa.field("observation", pa.string(), nullable=False),
        pa.field("action", pa.string(), nullable=False),
        pa.field("reward", pa.float64(), nullable=False),
        pa.field("turn", pa.string()),
        pa.field("action_valid", pa.bool_()),
        pa.field("admissible_commands", pa.list_(pa.string())),
        pa.field("log_prob", pa.float64()),
        pa.field("value", pa.float64()),
        pa.field("candidates", pa.list_(_CANDIDATE), nullable=False),
        pa.field("imitate", pa.bool_(), nullable=False),
        pa.field("context_start", pa.int32()),
        pa.field("continues_message", pa.bool_()),
    ]
)
SCHEMA = pa.schema(
    [
        pa.field("env_id", pa.string(), nullable=False),
        pa.field("env_kwargs", pa.string(), nullable=False),
        pa.field("task", pa.string(), nullable=False),
        pa.field("task_type", pa.string(), nullable=False),
        pa.field("game", pa.string(), nullable=False),
        pa.field("dialect", pa.string(), nullable=False),
        pa.field("seed", pa.int64()),
        pa.field("agent", pa.string(), nullable=False),
        pa.field("checkpoint", pa.string(), nullable=False),
        pa.field("versions", pa.map_(pa.string(), pa.string()), nullable=False),
        pa.field("created", pa.string(), nullable=False),
        pa.field("won", pa.bool_(), nullable=False),
        pa.field("terminated", pa.bool_(), nullable=False),
        pa.field("truncated", pa.bool_(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),
        pa.field("episode_return", pa.float64(), nullable=False),
        pa.field("steps", pa.list_(_STEP), nullable=False),
        pa.field("final_observation", pa.string(), nullable=False),
        pa.field("grade", pa.string()),
    ],
    metadata={"oreo.format": FORMAT, "oreo.version": str(VERSION)},
)
ADDED = {"grade": ""}
"""Columns that earlier versions lack, and what stands for them there."""
_TEXTS = (
    *("env_id", "task", "task_type", "game", "dialect", "agent", "checkpoint", "created", "final_observation"),
    "grade",
)
_FLAGS = ("won", "terminated", "truncated")


# Trajectory → record.


def to_record(trajectory: Trajectory) -> dict[str, Any]:
    """The trajectory in JSON types, a key for each column of `SCHEMA`.

    Raises:
        DataError: a field that is not of its type, or a text that is not Unicode (it has half a surrogate pair).
    """
    record: dict[str, Any] = {name: _text(getattr(trajectory, name), name) for name in _TEXTS}
    record |= {name: _flag(getattr(trajectory, name), name) for name in _FLAGS}
    try:
        record["env_kwargs"] = json.dumps(trajectory.env_kwargs, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise DataError(f"env_kwargs cannot be stored: {error}") from None
    _text(record["env_kwargs"], "env_kwargs")
    record["versions"] = {_text(key, "versions"): _text(text, "versions") for key, text in trajectory.versions.items()}
    record["seed"] = _seed(trajectory.seed)
    record["length"] = len(trajectory)
    record["steps"] = [_step_record(step) for step in trajectory.steps]
    record["episode_return"] = sum((step["reward"] for step in record["steps"]), start=0.0)
    return record


def _step_record(step: Step) -> dict[str, Any]:
    commands = step.admissible_commands
    return {
        "observation": _text(step.observation, "observation"),
        "action": _text(step.action, "action"),
        "reward": _number(step.reward, "reward"),
        "turn": None if step.turn is None else _text(step.turn, "turn"),
        "action_valid": None if step.action_valid is None else _flag(step.action_valid, "action_valid"),
        "admissible_commands": None if commands is None else _texts(commands, "admissible_commands"),
        "log_prob": None if step.log_prob is None else _number(step.log_prob, "log_prob"),
        "value": None if step.value is None else _number(step.value, "value"),
        "candidates": [_candidate_record(each) for each in step.candidates],
        "imitate": _flag(step.imitate, "imitate"),
        "context_start": _index(step.context_start, "context_start"),
        "continues_message": _flag(step.continues_message, "continues_message"),
    }


def _candidate_record(candidate: Candidate) -> dict[str, Any]:
    return {
        "text": _text(candidate.text, "candidates"),
        "log_prob": None if candidate.log_prob is None else _number(candidate.log_prob, "log_prob"),
        "value": None if candidate.value is None else _number(candidate.value, "value"),
    }


def _text(value: Any, name: str) -> str:
    if not isinstance(value, str):
        raise DataError(f"{name} of a trajectory is a str, got {type(value).__name__}: {value!r:.80}")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise DataError(f"{name} of a trajectory is not Unicode text: {error.reason} ({value!r:.80})") from None
    return value


def _texts(values: Sequence[Any], name: str) -> list[str]:
    try:
        plain = "".join(values).isascii()  # the usual case in one go: an episode has hundreds of commands
    except TypeError:
        plain = False
    return list(values) if plain else [_text(value, name) for value in values]


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError):
        raise DataError(f"{name} of a step is a number, got {type(value).__name__}: {value!r:.80}") from None


def _flag(value: Any, name: str) -> bool:
    if value not in (True, False):
        raise DataError(f"{name} of a trajectory is True or False, got {value!r:.80}")
    return bool(value)


def _index(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value < 2**31:
        raise DataError(f"{name} of a step is the number of an earlier one, got {value!r:.80}")
    return value


def _seed(seed: Any) -> int | None:
    if seed is None:
        return None
    if int(seed) != seed or not -(2**63) <= seed < 2**63:
        raise DataError(f"the seed of a trajectory is a 64-bit integer, got {seed!r:.80}")
    return int(seed)


# Record → trajectory.


def from_record(record: Mapping[str, Any]) -> Trajectory:
    """The inverse of `to_record`."""
    fields = {name: record[name] for name in (*_TEXTS, *_FLAGS, "seed")}
    return Trajectory(
        steps=tuple(_step(step) for step in record["steps"]),
        env_kwargs=json.loads(record["env_kwargs"]),
        versions=dict(record["versions"]),
        **fields,
    )


def _step(record: Mapping[str, Any]) -> Step:
    commands = record["admissible_commands"]
    candidates = tuple(Candidate(**each) for each in record["candidates"])
    known = {"admissible_commands": None if commands is None else tuple(commands), "candidates": candidates}
    return Step(**{**record, **known})


# Records → table → trajectories.


def to_table(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of `SCHEMA`."""
    columns = {name: [record[name] for record in records] for name in SCHEMA.names}
    columns["versions"] = [list(each.items()) for each in columns["versions"]]
    arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def from_batch(batch: pa.RecordBatch) -> list[Trajectory]:
    """Rows back into trajectories, column by column; equal texts become one object."""
    columns: dict[str, list[Any]] = {name: _values(batch.column(name)) for name in (*_TEXTS, *_FLAGS, "seed")}
    kwargs = _values(batch.column("env_kwargs"))
    versions = batch.column("versions").to_pylist()
    steps = _lists(batch.column("steps"), _steps)
    rows = []
    for row in range(batch.num_rows):
        fields = {name: column[row] for name, column in columns.items()}
        rows.append(
            Trajectory(
                steps=tuple(steps[row]), env_kwargs=json.loads(kwargs[row]), versions=dict(versions[row]), **fields
            )
        )
    return rows


def _steps(array: pa.StructArray) -> list[Step]:
    columns = dict(zip((field.name for field in array.type), array.flatten(), strict=True))
    if "goes_on" in columns:  # the name of `continues_message` up to version 3
        columns["continues_message"] = columns.pop("goes_on")
    values = {name: _values(columns[name]) for name in columns if name not in ("admissible_commands", "candidates")}
    for name, default in (("context_start", 0), ("continues_message", False)):
        if name in values:  # missing where an earlier version stored it, null where a later one sealed its journal
            values[name] = [default if value is None else value for value in values[name]]
    values["admissible_commands"] = _lists(columns["admissible_commands"], _values)
    values["candidates"] = _lists(columns["candidates"], _candidates)
    names = list(values)
    return [Step(**dict(zip(names, row, strict=True))) for row in zip(*values.values(), strict=True)]


def _candidates(array: pa.StructArray) -> list[Candidate]:
    columns = [_values(each) for each in array.flatten()]
    names = [field.name for field in array.type]
    return [Candidate(**dict(zip(names, row, strict=True))) for row in zip(*columns, strict=True)]


def _values(array: pa.Array) -> list[Any]:
    if not pa.types.is_string(array.type):
        return array.to_pylist()
    encoded = array.dictionary_encode()
    words = [*encoded.dictionary.to_pylist(), None]
    return [words[index] for index in encoded.indices.fill_null(len(words) - 1).to_pylist()]


def _lists(array: pa.ListArray, read: Callable[[pa.Array], list[Any]]) -> list[Any]:
    """A tuple for each list, None for a missing one."""
    flat = read(array.flatten())
    sizes = array.value_lengths().to_pylist()
    found, at = [], 0
    for size in sizes:
        found.append(None if size is None else tuple(flat[at : at + size]))
        at += size or 0
    return found
