"""Records → Arrow table → trajectories: one row an episode, its steps a nested list, for any Parquet tool to look at.

Column types are those that other tools know as well: `env_kwargs`, `extra` and `versions` are JSON texts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from oreo.data.records import (
    ADDED,
    ADDED_TO_CANDIDATES,
    ADDED_TO_STEPS,
    FLAGS,
    FORMAT,
    OBJECTS,
    RENAMED,
    TEXTS,
    VERSION,
    check_sums,
    decoded,
)
from oreo.errors import DataError
from oreo.trajectory import Candidate, Step, Trajectory

_CANDIDATE = pa.struct(
    [
        pa.field("text", pa.string(), nullable=False),
        pa.field("log_prob", pa.float64()),
        pa.field("value", pa.float64()),
        pa.field("count", pa.int32()),
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
        pa.field("cut", pa.bool_()),
        pa.field("token_ids", pa.list_(pa.int32())),
        pa.field("actor", pa.string()),
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
        pa.field("versions", pa.string(), nullable=False),
        pa.field("created", pa.string(), nullable=False),
        pa.field("won", pa.bool_(), nullable=False),
        pa.field("terminated", pa.bool_(), nullable=False),
        pa.field("truncated", pa.bool_(), nullable=False),
        pa.field("length", pa.int32(), nullable=False),
        pa.field("episode_return", pa.float64(), nullable=False),
        pa.field("steps", pa.list_(_STEP), nullable=False),
        pa.field("final_observation", pa.string(), nullable=False),
        pa.field("grade", pa.string()),
        pa.field("extra", pa.string()),
        pa.field("tokenizer", pa.string()),
    ],
    metadata={"oreo.format": FORMAT, "oreo.version": str(VERSION)},
)


TEXT_COLUMNS = frozenset(
    [field.name for field in SCHEMA if pa.types.is_string(field.type)]
    + [f"steps.{field.name}" for field in _STEP if pa.types.is_string(field.type)]
    + ["steps.admissible_commands", "steps.candidates.text"]
)
"""Paths of the columns that hold texts."""


def to_table(records: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Rows of `SCHEMA` from records that are checked."""
    columns = {name: [record[name] for record in records] for name in SCHEMA.names}
    columns["versions"] = [json.dumps(versions, ensure_ascii=False) for versions in columns["versions"]]
    arrays = [pa.array(columns[field.name], field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


# What another schema has to be to be read as this one.


def check_schema(schema: pa.Schema) -> None:
    """Refuse a table that lacks columns, or has them of other types.

    Raises:
        DataError: naming the column.
    """
    _check_fields("", list(schema), list(SCHEMA), added=ADDED, renamed={})


def _check_fields(
    where: str,
    fields: Sequence[pa.Field],
    expected: Sequence[pa.Field],
    *,
    added: Mapping[str, Any],
    renamed: Mapping[str, str],
) -> None:
    types: dict[str, pa.DataType] = {}
    for field in fields:
        name = where + renamed.get(field.name, field.name)
        if name in types:
            raise DataError(f"the column {name} is there twice")
        types[name] = field.type
    missing = [where + field.name for field in expected if where + field.name not in types and field.name not in added]
    if missing:
        raise DataError(f"the columns {', '.join(sorted(missing))} are missing")
    for field in expected:
        if where + field.name in types:
            _check_type(where + field.name, types[where + field.name], field.type)


def _check_type(name: str, given: pa.DataType, expected: pa.DataType) -> None:
    if pa.types.is_list(expected) and (pa.types.is_list(given) or pa.types.is_large_list(given)):
        return _check_type(name, given.value_type, expected.value_type)
    if pa.types.is_struct(expected) and pa.types.is_struct(given):
        given_fields, fields = ([kind.field(at) for at in range(kind.num_fields)] for kind in (given, expected))
        return _check_fields(
            f"{name}.", given_fields, fields, added=ADDED_TO_STEPS | ADDED_TO_CANDIDATES, renamed=RENAMED
        )
    # Other tools write texts and whole numbers of other widths.
    text = pa.types.is_string(expected) and pa.types.is_large_string(given)
    whole = pa.types.is_integer(expected) and pa.types.is_signed_integer(given)
    of_version_3 = name == "versions" and given.equals(pa.map_(pa.string(), pa.string()))
    if not (text or whole or of_version_3 or given.equals(expected)):
        raise DataError(f"the column {name} has the type {str(given):.80}, expected {expected}")


def completed(table: pa.Table) -> pa.Table:
    """With the columns that an earlier version lacks, null; they are read as `ADDED` says."""
    for name in ADDED:
        if name not in table.schema.names:
            # Made of values, pyarrow would import pandas to look at these, which takes longer than all the rest.
            table = table.append_column(SCHEMA.field(name), pa.nulls(table.num_rows, pa.string()))
    return table


def rows_of(table: pa.Table, names: Sequence[str]) -> list[tuple[Any, ...]]:
    """Columns, row by row; "steps.cut" is the list of one field of all steps."""
    return list(zip(*(_row_values(table, name) for name in names), strict=True))


def _row_values(table: pa.Table, name: str) -> list[Any]:
    place, _, field = name.partition(".")
    if not field:
        return column(table, name)
    if place not in table.schema.names or field not in _field_names(table.schema.field(place).type.value_type):
        return [[ADDED_TO_STEPS[field]] * length for length in table.column("length").to_pylist()]
    rows: list[Any] = []
    for steps in table.column(place).chunks:
        rows += _lists(_required(steps, place), lambda flat: _field_of(flat, field))
    return rows


def _field_of(steps: pa.StructArray, name: str) -> list[Any]:
    values = dict(zip(_field_names(steps.type), steps.flatten(), strict=True))[name].to_pylist()
    return [ADDED_TO_STEPS[name] if value is None else value for value in values] if name in ADDED_TO_STEPS else values


def _field_names(struct: pa.StructType) -> list[str]:
    return [RENAMED.get(struct.field(at).name, struct.field(at).name) for at in range(struct.num_fields)]


# Table → trajectories.


def from_batch(batch: pa.RecordBatch) -> list[Trajectory]:
    """Rows back into trajectories, column by column; equal texts become one object.

    Raises:
        DataError: a value is missing, or cannot be what it says it is, naming the column.
    """
    columns: dict[str, list[Any]] = {name: _column(batch, name) for name in (*TEXTS, *FLAGS, "seed")}
    for name in OBJECTS:
        columns[name] = _objects(_column(batch, name), name)
    versions = _column(batch, "versions")
    is_text = not pa.types.is_map(batch.column("versions").type)
    columns["versions"] = _objects(versions, "versions") if is_text else [dict(pairs) for pairs in versions]
    columns["steps"] = _lists(_required(batch.column("steps"), "steps"), _steps)
    related = (columns["terminated"], columns["truncated"], columns["steps"])
    lengths, returns = (_column(batch, name) for name in ("length", "episode_return"))
    for row, (terminated, truncated, steps, *stated) in enumerate(zip(*related, lengths, returns, strict=True)):
        try:
            check_sums(terminated, truncated, [step.reward for step in steps], *stated)
        except DataError as error:
            raise DataError(f"row {row}: {error}") from None
    if any(not isinstance(text, str) for words in columns["versions"] for text in words.values()):
        raise DataError("the column versions holds something else than texts")
    return [Trajectory(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _column(batch: pa.RecordBatch, name: str) -> list[Any]:
    array = batch.column(name)
    if name in ADDED:  # missing where an earlier version stored it, null where a later one sealed its journal
        return [ADDED[name] if value is None else value for value in _values(array, name)]
    return _values(array if SCHEMA.field(name).nullable else _required(array, name), name)


def _required(array: pa.Array, name: str) -> pa.Array:
    if array.null_count:
        raise DataError(f"the column {name} lacks {array.null_count} of its {len(array)} values")
    return array


def _objects(texts: Iterable[str], name: str) -> list[dict[str, Any]]:
    return [decoded(text, f"the column {name}") for text in texts]


def _steps(array: pa.StructArray) -> list[Step]:
    columns = _struct(array, "steps", _STEP)
    values = {
        name: _values(column, f"steps.{name}")
        for name, column in columns.items()
        if not pa.types.is_list(_STEP.field(name).type)
    }
    for name, default in ADDED_TO_STEPS.items():
        if name in values:
            values[name] = [default if value is None else value for value in values[name]]
    if any(start < 0 for start in values.get("context_start", ())):
        raise DataError("the column steps.context_start has a number below 0")
    values["admissible_commands"] = _lists(columns["admissible_commands"], _commands)
    if "token_ids" in columns:
        values["token_ids"] = _lists(columns["token_ids"], _token_ids)
    values["candidates"] = _lists(columns["candidates"], _candidates)
    names = list(values)
    return [Step(**dict(zip(names, row, strict=True))) for row in zip(*values.values(), strict=True)]


def _token_ids(array: pa.Array) -> list[int]:
    ids: list[int] = _required(array, "steps.token_ids").to_pylist()
    if min(ids, default=0) < 0:
        raise DataError("the column steps.token_ids has a number below 0")
    return ids


def _commands(array: pa.Array) -> list[str]:
    return _values(_required(array, "steps.admissible_commands"), "steps.admissible_commands")


def _candidates(array: pa.StructArray) -> list[Candidate]:
    where = "steps.candidates"
    columns = {name: _values(column, f"{where}.{name}") for name, column in _struct(array, where, _CANDIDATE).items()}
    for name, default in ADDED_TO_CANDIDATES.items():
        if name in columns:
            columns[name] = [default if value is None else value for value in columns[name]]
    if any(count < 1 for count in columns.get("count", ())):
        raise DataError(f"the column {where}.count has a number below 1")
    return [Candidate(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _struct(array: pa.StructArray, where: str, expected: pa.StructType) -> dict[str, pa.Array]:
    """The fields that `expected` knows, by their present names."""
    _required(array, where)
    columns = dict(zip(_field_names(array.type), array.flatten(), strict=True))
    kept = {field.name: columns[field.name] for field in expected if field.name in columns}
    for field in expected:
        if not field.nullable:
            _required(kept[field.name], f"{where}.{field.name}")
    return kept


def column(table: pa.Table, name: str) -> list[Any]:
    """The values of a column that is no list, of whatever version.

    Raises:
        DataError: one is missing.
    """
    return [value for batch in table.to_batches() for value in _column(batch, name)]


def _values(array: pa.Array, name: str) -> list[Any]:
    if pa.types.is_floating(array.type) and pc.all(pc.is_finite(array)).as_py() is False:
        raise DataError(f"the column {name} has a number that is not finite")
    if not (pa.types.is_string(array.type) or pa.types.is_dictionary(array.type)):
        return array.to_pylist()
    encoded = array.dictionary_encode() if pa.types.is_string(array.type) else array
    words, indices = encoded.dictionary.to_pylist(), encoded.indices.to_pylist()
    if not encoded.indices.null_count:
        return [words[index] for index in indices]
    return [None if index is None else words[index] for index in indices]


def _lists(array: pa.ListArray, read: Callable[[pa.Array], list[Any]]) -> list[Any]:
    """A tuple for each list, None for a missing one."""
    flat = read(array.flatten())
    lists, at = [], 0
    for size in array.value_lengths().to_pylist():
        lists.append(None if size is None else tuple(flat[at : at + size]))
        at += size or 0
    return lists
