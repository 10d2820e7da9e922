"""Shards: every flipped bit is noticed or harmless, other tools' files are read or refused by column, old ones read."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oreo.data import shards
from oreo.data.buffer import TrajectoryBuffer
from oreo.data.checksums import MARK
from oreo.data.journal import JournalFile
from oreo.data.records import NewerVersion, to_record
from oreo.data.shards import Damaged, ShardFile, write_shard
from oreo.data.tables import SCHEMA, to_table
from oreo.errors import DataError
from oreo.trajectory import Candidate, Step, Trajectory

from .episodes import episode, same, shard_with

RICH = replace(
    episode("rich"),
    steps=(
        Step("o", "a", 0.5, "t", True, ("a", "b"), -1.5, 0.25, (Candidate("a", -1.5, 0.2), Candidate("b"))),
        Step("p", "b", continues_message=True, context_start=1, imitate=False),
        Step("q", "c", cut=True),
    ),
    seed=7,
    versions={"oreo-agents": "0.1"},
    env_kwargs={"split": "train"},
)


def stored(folder: Path, trajectories: list[Trajectory], name: str = "x.parquet") -> ShardFile:
    write_shard(to_table([to_record(trajectory) for trajectory in trajectories]), folder / name)
    return ShardFile(folder / name)


def read(shard: ShardFile) -> list[Trajectory]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return list(shard.trajectories())


def test_a_shard_is_read_whole_by_row_groups_by_columns_and_by_number(tmp_path: Path) -> None:
    trajectories = [replace(RICH, game=str(number), seed=number) for number in range(300)]
    shard = stored(tmp_path, trajectories)
    assert shard.count == 300 and read(shard) == trajectories
    assert [shard.item(number) for number in (0, 127, 128, 299, 5)] == [
        trajectories[at] for at in (0, 127, 128, 299, 5)
    ]
    assert shard.columns(["seed", "game"]) == [(number, str(number)) for number in range(300)]
    assert list(shard.trajectories({"game": "200"})) == [trajectories[200]]
    assert shard.damage() == []


# Damage.


def changed(path: Path, whole: bytes, at: int, to: int) -> None:
    path.write_bytes(whole[:at] + bytes([to]) + whole[at + 1 :])


def noticed_or_harmless(shard: ShardFile, trajectories: list[Trajectory]) -> bool:
    """Whether the change was noticed; if it was not, nothing else may have come of it."""
    try:
        columns = ShardFile(shard.path).columns(["seed", "won", "length"])
        count = ShardFile(shard.path).count
        items = read(shard)
    except Damaged as error:
        assert shard.path.name in str(error) and "\n" not in str(error)
        return True
    except UserWarning as warning:
        assert shard.path.name in str(warning) and "damaged" in str(warning)
        return True
    assert items == trajectories and count == len(trajectories)
    assert columns == [(trajectory.seed, trajectory.won, len(trajectory)) for trajectory in trajectories]
    return False


def test_every_bit_of_the_footer_is_checked_when_a_shard_is_opened(tmp_path: Path) -> None:
    shard = stored(tmp_path, [RICH])
    whole = shard.path.read_bytes()
    block = whole.index(MARK)
    silent = 0
    places = sorted({*range(block - 40, block + 40), *range(block, len(whole), 7), *range(len(whole) - 8, len(whole))})
    for number, at in enumerate(places):
        changed(shard.path, whole, at, whole[at] ^ 1 << number % 8)
        silent += not noticed_or_harmless(ShardFile(shard.path), [RICH])
    # A change of the mark itself makes it a file without checksums, and one that is read as it was written.
    assert silent == len(MARK)


def test_every_changed_byte_of_the_data_is_noticed(tmp_path: Path) -> None:
    shard = stored(tmp_path, [RICH])
    whole = shard.path.read_bytes()
    for number, at in enumerate(range(4, whole.index(MARK), 5)):
        changed(shard.path, whole, at, whole[at] ^ 1 << number % 8)
        assert noticed_or_harmless(ShardFile(shard.path), [RICH])


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_piece_cut_out_or_overwritten_is_noticed(data: st.DataObject, tmp_path: Path) -> None:
    trajectories = [replace(RICH, game=str(number)) for number in range(3)]
    shard = stored(tmp_path, trajectories)
    whole = shard.path.read_bytes()
    start = data.draw(st.integers(4, len(whole) - 1))
    stop = data.draw(st.integers(start + 1, len(whole)))
    by = data.draw(st.sampled_from([b"", bytes(stop - start), whole[:1] * (stop - start)]))
    shard.path.write_bytes(whole[:start] + by + whole[stop:])
    noticed_or_harmless(ShardFile(shard.path), trajectories)


def test_only_the_row_group_that_is_damaged_is_missing(tmp_path: Path) -> None:
    trajectories = [replace(RICH, game=str(number)) for number in range(300)]
    shard = stored(tmp_path, trajectories)
    chunk = pq.read_metadata(shard.path).row_group(1).column(0)
    whole = shard.path.read_bytes()
    changed(shard.path, whole, chunk.data_page_offset + 3, whole[chunk.data_page_offset + 3] ^ 1)
    with pytest.warns(UserWarning, match=r"x\.parquet, episodes 128 to 255: damaged .*env_id"):
        assert list(shard.trajectories()) == trajectories[:128] + trajectories[256:]
    assert shard.item(127) == trajectories[127]
    with pytest.raises(Damaged, match="episodes 128 to 255"):
        shard.item(128)
    assert len(shard.damage()) == 1


def test_a_file_written_again_by_another_tool_is_read_without_checksums(tmp_path: Path) -> None:
    shard = stored(tmp_path, [RICH] * 5)
    pq.write_table(pq.read_table(shard.path), tmp_path / "copy.parquet")
    assert MARK not in (tmp_path / "copy.parquet").read_bytes()
    assert read(ShardFile(tmp_path / "copy.parquet")) == [RICH] * 5


@pytest.mark.parametrize(
    "error", [MemoryError(), PermissionError(13, "Permission denied"), OSError(24, "Too many open files")]
)
def test_what_may_be_whole_and_cannot_be_read_is_not_passed_over(
    error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = stored(tmp_path, [RICH])
    TrajectoryBuffer(tmp_path / "buffer").append(RICH)

    def failing(*_: Any, **__: Any) -> Any:
        raise error

    monkeypatch.setattr(Path, "open", failing)
    for file in (shard, JournalFile(next((tmp_path / "buffer").glob("*.journal")))):
        with pytest.raises(DataError, match=r"memory|Permission denied|Too many open files") as raised:
            list(file.trajectories())
        assert not isinstance(raised.value, Damaged) and str(file.path) in str(raised.value)


def test_a_row_group_that_says_it_is_huge_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard = stored(tmp_path, [RICH])
    monkeypatch.setattr(shards, "_MOST_BYTES", 100)
    with pytest.raises(Damaged, match="a row group says it has more than"):
        list(shard.trajectories())


# Other tools.


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


@pytest.mark.parametrize("name", [name for name in SCHEMA.names if name != "grade"])
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
        ({"steps": []}, "length of row 0 is 1"),
        ({"length": 7}, "length of row 0 is 7"),
        ({"env_kwargs": "3"}, "env_kwargs is no JSON object"),
        ({"env_kwargs": "{"}, "env_kwargs is no JSON object"),
        ({"env_kwargs": '{"x": ' + "[" * 50_000 + "]" * 50_000 + "}"}, "env_kwargs is no JSON object"),
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


@pytest.mark.parametrize("version", ["99", "5"])
def test_a_newer_shard_stops_reading_since_it_is_whole(version: str, tmp_path: Path) -> None:
    shard = shard_with(tmp_path, 2)
    table = pq.read_table(shard)
    pq.write_table(table.replace_schema_metadata({**SCHEMA.metadata, b"oreo.version": version.encode()}), shard)
    with pytest.raises(NewerVersion, match=f"schema version {version}"):
        list(TrajectoryBuffer(tmp_path))


def test_hugging_face_datasets_reads_it(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    stored(tmp_path, [RICH, episode("b")])
    rows = datasets.load_dataset(
        "parquet", data_files=f"{tmp_path}/*.parquet", split="train", cache_dir=str(tmp_path / "cache")
    )
    assert rows["game"][:] == ["rich", "b"] and rows[0]["steps"][0]["candidates"][0]["text"] == "a"
    assert rows[0]["versions"] == '{"oreo-agents": "0.1"}'


# Earlier versions.


def older(trajectories: list[Trajectory], version: int) -> pa.Table:
    """The table that a version of the schema wrote, from its own history of names."""
    absent = {1: {"context_start", "continues_message", "cut"}, 2: {"continues_message", "cut"}, 3: {"cut"}}[version]
    table = to_table([to_record(trajectory) for trajectory in trajectories])
    steps = []
    for row in table["steps"].to_pylist():
        kept = [{name: value for name, value in step.items() if name not in absent} for step in row]
        steps.append([{"goes_on" if k == "continues_message" else k: v for k, v in step.items()} for step in kept])
    kinds = SCHEMA.field("steps").type.value_type
    fields = [kinds.field(at) for at in range(kinds.num_fields) if kinds.field(at).name not in absent]
    fields = [field.with_name("goes_on") if field.name == "continues_message" else field for field in fields]
    pairs = [list(trajectory.versions.items()) for trajectory in trajectories]
    for name, array in (
        ("steps", pa.array(steps, pa.list_(pa.struct(fields)))),
        ("versions", pa.array(pairs, pa.map_(pa.string(), pa.string()))),
    ):
        table = table.set_column(table.schema.get_field_index(name), name, array)
    if version < 3:
        table = table.drop_columns(["grade"])
    return table.replace_schema_metadata({**SCHEMA.metadata, b"oreo.version": str(version).encode()})


@pytest.mark.parametrize("version", [1, 2, 3])
def test_what_earlier_versions_stored_is_read_as_it_was_meant(version: str | int, tmp_path: Path) -> None:
    TrajectoryBuffer(tmp_path)
    first = replace(RICH.steps[0], context_start=0)
    meant = replace(
        RICH, steps=(first, replace(RICH.steps[1], continues_message=version == 3, context_start=int(version != 1)))
    )
    pq.write_table(older([meant, episode("b", steps=0)], int(version)), tmp_path / "0.parquet")
    buffer = TrajectoryBuffer(tmp_path)
    buffer.append(RICH)  # of the present version, in a folder with the other
    buffer.close()
    assert same(tuple(buffer), (meant, episode("b", steps=0), RICH))
    assert buffer.info()["by_grade"] == {"": {"episodes": 3, "won": 3, "success_rate": 1.0}}
    assert len(buffer.select(grade="")) == 3 and buffer.select(grade="timeout") == []
