"""oreo.data.shards: shards are read in whole and in part, damage costs no more than it must, old ones are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oreo.data import shards
from oreo.data.buffer import TrajectoryBuffer
from oreo.data.journal import JournalFile
from oreo.data.records import VERSION, Damaged, NewerVersion, to_record
from oreo.data.repair import repair
from oreo.data.tables import SCHEMA, to_table
from oreo.data.writers import adopt_orphans
from oreo.errors import DataError
from oreo.trajectory import Candidate, Step, Trajectory

from .episodes import RICH, changed, episode, names, orphan, read, same, shard_with, stored


def test_a_shard_is_read_whole_by_row_groups_by_columns_and_by_number(tmp_path: Path) -> None:
    trajectories = [replace(RICH, game=str(number), seed=number) for number in range(300)]
    shard = stored(tmp_path, trajectories)
    assert shard.count == 300 and read(shard) == trajectories
    assert [shard.item(number) for number in (0, 127, 128, 299, 5)] == [
        trajectories[at] for at in (0, 127, 128, 299, 5)
    ]
    assert list(shard.columns(["seed", "game"])) == [(number, (number, str(number))) for number in range(300)]
    assert next(shard.columns(["steps.cut", "steps.token_ids"])) == (0, ((False, False, True), (None, None, [5, 0, 7])))
    assert list(shard.trajectories([3, 127, 299])) == [trajectories[at] for at in (3, 127, 299)]
    assert list(shard.trajectories([200])) == [trajectories[200]]
    assert shard.damage() == []


# Damage.


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


def repeated_step(folder: Path, step: Step, count: int) -> shards.ShardFile:
    """A shard of one episode of equal steps, which hold one another's texts and take next to no room."""
    shard = stored(folder, [replace(episode(won=False), steps=(step,))])
    table = pq.read_table(shard.path)
    field = table.schema.field("steps")
    steps = pa.ListArray.from_arrays(
        pa.array([0, count], pa.int32()), table["steps"].chunk(0).values.take(pa.repeat(pa.scalar(0), count))
    )
    table = table.set_column(table.schema.get_field_index("steps"), field, steps.cast(field.type))
    at = table.schema.get_field_index("length")
    table = table.set_column(at, table.schema.field("length"), pa.array([count], pa.int32()))
    pq.write_table(table.replace_schema_metadata(SCHEMA.metadata), shard.path, compression="zstd")
    return shards.ShardFile(shard.path)


def test_a_small_file_that_says_it_has_millions_of_steps_is_refused_by_name(tmp_path: Path) -> None:
    shard = repeated_step(tmp_path, Step("o", "a"), (1 << 20) + 1)
    assert shard.path.stat().st_size < 20_000
    with pytest.raises(Damaged, match=r"the column steps.*says it has 1,048,577 values in \d+,\d+ bytes"):
        _ = shard.count


def test_a_long_text_that_is_repeated_is_held_once(tmp_path: Path) -> None:
    shard = repeated_step(tmp_path, Step("x" * 1_000_000, "a", admissible_commands=("y" * 1_000_000,)), 100)
    with shards._opened(shard.path) as opened:
        assert opened.read(0).nbytes < 5_000_000
    (read_back,) = read(shard)
    assert len({id(step.observation) for step in read_back.steps}) == 1 and len(read_back) == 100


@pytest.mark.parametrize("name", ["won", "game", "seed"])
def test_columns_of_a_row_group_with_a_missing_value_are_passed_over_by_name(name: str, tmp_path: Path) -> None:
    shard = shard_with(tmp_path, 2)
    table = pq.read_table(shard)
    at, field = table.schema.get_field_index(name), table.schema.field(name)
    pq.write_table(table.set_column(at, field.with_nullable(True), pa.nulls(2, field.type)), shard)
    buffer = TrajectoryBuffer(tmp_path)
    if field.nullable:
        assert list(buffer.columns(name)) == [(None,), (None,)]
    else:
        with pytest.warns(UserWarning, match=f"the column {name} lacks 2 of its 2 values"):
            assert list(buffer.columns(name)) == []


@pytest.mark.parametrize("version", ["99", str(VERSION + 1)])
def test_a_newer_shard_is_named_and_stays_and_the_rest_is_read(version: str, tmp_path: Path) -> None:
    shard = shard_with(tmp_path, 2)
    shard_with(tmp_path / "other", 1).rename(tmp_path / "9.parquet")
    (tmp_path / "other" / "_buffer.json").unlink()
    table = pq.read_table(shard)
    pq.write_table(table.replace_schema_metadata({**SCHEMA.metadata, b"oreo.version": version.encode()}), shard)
    written, buffer = shard.read_bytes(), TrajectoryBuffer(tmp_path, create=False)
    with pytest.warns(UserWarning, match=f"{shard.name} has schema version {version}, .* install a newer one"):
        assert names(buffer) == ["0"]
    ((error,),) = repair(buffer).values()
    assert type(error) is NewerVersion and shard.read_bytes() == written
    # Nor is it replaced by its journal, were that still there.
    orphan(tmp_path / "third", 1).rename(tmp_path / f"_{shard.stem}.journal")
    with pytest.warns(UserWarning, match="it stays as it is"):
        adopt_orphans(tmp_path)
    assert shard.read_bytes() == written


# Earlier versions.


def older(trajectories: list[Trajectory], version: int) -> pa.Table:
    """The table that a version of the schema wrote, from its own history of names."""
    since = {"context_start": 2, "continues_message": 3, "cut": 4, "token_ids": 5, "actor": 6}
    absent = {name for name, first in since.items() if version < first}
    table = to_table([to_record(trajectory) for trajectory in trajectories])
    steps = []
    renamed = {"continues_message": "goes_on"} if version < 4 else {}
    for row in table["steps"].to_pylist():
        kept = [{name: value for name, value in step.items() if name not in absent} for step in row]
        steps.append([{renamed.get(k, k): v for k, v in step.items()} for step in kept])
    kinds = SCHEMA.field("steps").type.value_type
    candidate = kinds.field("candidates").type.value_type
    fields = [kinds.field(at) for at in range(kinds.num_fields) if kinds.field(at).name not in absent]
    bare = pa.struct([candidate.field(at) for at in range(candidate.num_fields) if candidate.field(at).name != "count"])
    fields = [pa.field(field.name, pa.list_(bare)) if field.name == "candidates" else field for field in fields]
    fields = [field.with_name(renamed.get(field.name, field.name)) for field in fields]
    columns = {"steps": pa.array(steps, pa.list_(pa.struct(fields)))}
    if version < 4:
        pairs = [list(trajectory.versions.items()) for trajectory in trajectories]
        columns["versions"] = pa.array(pairs, pa.map_(pa.string(), pa.string()))
    for name, array in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, array)
    table = table.drop_columns([*(["extra", "tokenizer"] if version < 5 else []), *(["grade"] if version < 3 else [])])
    return table.replace_schema_metadata({**SCHEMA.metadata, b"oreo.version": str(version).encode()})


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_what_earlier_versions_stored_is_read_as_it_was_meant(version: int, tmp_path: Path) -> None:
    TrajectoryBuffer(tmp_path)
    first = replace(RICH.steps[0], context_start=0, candidates=(Candidate("a", -1.5, 0.2), Candidate("b")))
    second = replace(RICH.steps[1], continues_message=version >= 3, context_start=int(version != 1))
    meant = replace(RICH, steps=(first, second), **({} if version == 5 else {"extra": {}, "tokenizer": ""}))
    pq.write_table(older([meant, episode("b", steps=0)], version), tmp_path / "0.parquet")
    buffer = TrajectoryBuffer(tmp_path)
    buffer.append(RICH)  # of the present version, in a folder with the other
    buffer.close()
    assert same(tuple(buffer), (meant, episode("b", steps=0), RICH))
    assert buffer.info()["by_grade"] == {"": {"episodes": 3, "won": 3, "success_rate": 1.0}}
    assert len(buffer.where(grade="")) == 3 and len(buffer.where(grade="timeout")) == 0
