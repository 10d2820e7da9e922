"""oreo.data.tables: what a table of another tool may hold, and what is named where it does not fit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oreo.data.records import ADDED, Damaged
from oreo.data.shards import ShardFile
from oreo.data.tables import SCHEMA

from .episodes import RICH, episode, read, stored


def rewritten(shard: ShardFile, table: pa.Table) -> ShardFile:
    pq.write_table(table.replace_schema_metadata(SCHEMA.metadata), shard.path)
    return ShardFile(shard.path)


def test_large_texts_and_lists_are_texts_and_lists(tmp_path: Path) -> None:
    shard = stored(tmp_path, [RICH, episode(steps=0)])
    table = pq.read_table(shard.path)

    def larger(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_string(kind):
            return pa.large_string()
        if pa.types.is_list(kind):
            return pa.large_list(larger(kind.value_type))
        if pa.types.is_struct(kind):
            return pa.struct([(kind.field(at).name, larger(kind.field(at).type)) for at in range(kind.num_fields)])
        return kind

    schema = pa.schema([(field.name, larger(field.type)) for field in table.schema])
    assert read(rewritten(shard, pa.Table.from_pylist(table.to_pylist(), schema))) == [RICH, episode(steps=0)]


@pytest.mark.parametrize("name", [name for name in SCHEMA.names if name not in ADDED])
def test_a_missing_column_is_named(name: str, tmp_path: Path) -> None:
    shard = stored(tmp_path, [RICH])
    with pytest.raises(Damaged, match=rf"x\.parquet: damaged \(the columns {name} are missing"):
        _ = rewritten(shard, pq.read_table(shard.path).drop_columns([name])).count


@pytest.mark.parametrize("kind", [pa.binary(), pa.duration("s"), pa.float16(), pa.list_(pa.string()), pa.date32()])
@pytest.mark.parametrize("name", SCHEMA.names)
def test_a_column_of_another_type_is_named(name: str, kind: pa.DataType, tmp_path: Path) -> None:
    if kind == pa.list_(pa.string()) and name == "steps":
        kind = pa.list_(pa.list_(pa.string()))
    if kind == pa.duration("s"):  # is stored as a whole number, and read as one by whoever does not know better
        kind = pa.timestamp("ms")
    shard = stored(tmp_path, [RICH])
    table = pq.read_table(shard.path)
    at = table.schema.get_field_index(name)
    with pytest.raises(Damaged, match=rf"the column {name}\b.* has the type"):
        _ = rewritten(shard, table.set_column(at, name, pa.nulls(1, kind))).count


@pytest.mark.parametrize("name", [field.name for field in SCHEMA if not field.nullable])
def test_a_missing_value_is_named(name: str, tmp_path: Path) -> None:
    shard = stored(tmp_path, [RICH])
    table = pq.read_table(shard.path)
    field = table.schema.field(name)
    nulls = table.set_column(table.schema.get_field_index(name), name, pa.nulls(1, field.type))
    with pytest.raises(UserWarning, match=f"the column {name} lacks 1 of its 1 values"):
        read(rewritten(shard, nulls))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"steps": [{"reward": None}]}, "steps.reward lacks 1"),
        ({"steps": [{"action": None}]}, "steps.action lacks 1"),
        ({"steps": [{"admissible_commands": ["a", None]}]}, "steps.admissible_commands lacks 1"),
        ({"steps": [{"candidates": [{"text": None, "log_prob": None, "value": None}]}]}, "steps.candidates.text"),
        ({"steps": [{"context_start": -1}]}, "steps.context_start"),
        ({"steps": [None]}, "steps lacks 1"),
        ({"steps": []}, "row 0: length is 1, and there are 0 steps"),
        ({"length": 7}, "row 0: length is 7, and there are 1 steps"),
        ({"terminated": False}, "row 0: .* has ended"),
        ({"episode_return": 0.5}, "row 0: episode_return is 0.5, and the sum of the rewards is 1.0"),
        ({"episode_return": math.nan}, "episode_return has a number that is not finite"),
        ({"steps": [{"reward": math.nan}]}, "steps.reward has a number that is not finite"),
        ({"steps": [{"reward": math.inf}], "episode_return": math.inf}, "a number that is not finite"),
        ({"steps": [{"log_prob": -math.inf}]}, "steps.log_prob has a number that is not finite"),
        ({"steps": [{"value": math.nan}]}, "steps.value has a number that is not finite"),
        (
            {"steps": [{"candidates": [{"text": "a", "log_prob": None, "value": math.nan}]}]},
            "steps.candidates.value has a number that is not finite",
        ),
        ({"env_kwargs": '{"x": NaN}'}, "env_kwargs is no JSON object"),
        ({"env_kwargs": '{"x": 1e400}'}, "env_kwargs is no JSON object"),
        ({"env_kwargs": "3"}, "env_kwargs is no JSON object"),
        ({"env_kwargs": "{"}, "env_kwargs is no JSON object"),
        ({"env_kwargs": '{"x": ' + "[" * 50_000 + "]" * 50_000 + "}"}, "env_kwargs is no JSON object"),
        ({"extra": "[]"}, "extra is no JSON object"),
        ({"versions": '{"a": 1}'}, "versions"),
    ],
)
def test_what_a_foreign_file_says_wrongly_is_named(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    shard = stored(tmp_path, [episode(steps=1)])
    table = pq.read_table(shard.path)
    (row,) = table.to_pylist()
    if "steps" in change:
        change = {"steps": [None if step is None else {**row["steps"][0], **step} for step in change["steps"]]}

    def loose(kind: pa.DataType) -> pa.DataType:
        if pa.types.is_list(kind):
            return pa.list_(loose(kind.value_type))
        if pa.types.is_struct(kind):
            return pa.struct([(kind.field(at).name, loose(kind.field(at).type)) for at in range(kind.num_fields)])
        return kind

    schema = pa.schema([(field.name, loose(field.type)) for field in table.schema])
    with pytest.raises(UserWarning, match=message):
        read(rewritten(shard, pa.Table.from_pylist([{**row, **change}], schema)))
