"""From journal to shard, by whoever comes: nothing is lost on the way, and nothing is in the way."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from oreo.data import journal, shards
from oreo.data.buffer import TrajectoryBuffer
from oreo.data.shards import ShardFile
from oreo.data.writers import Writer, adopt_orphans, roll, set_aside
from oreo.errors import DataError

from .episodes import episode, names, orphan, shard_with


def flip(path: Path, at: int) -> bytes:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)
    return bytes(data)


def test_an_orphan_becomes_a_shard(tmp_path: Path) -> None:
    path = orphan(tmp_path, 3)
    adopt_orphans(tmp_path)
    assert not path.exists() and ShardFile(journal.shard_of(path)).count == 3
    assert not (tmp_path / "damaged").exists()


def test_damage_in_a_dead_writers_journal_stops_no_append_and_is_kept(tmp_path: Path) -> None:
    path = orphan(tmp_path, 3)
    data = flip(path, len(path.read_bytes()) // 2)
    with pytest.warns(UserWarning, match=r"line 2: damaged .*; it is kept in"):
        with TrajectoryBuffer(tmp_path) as buffer:
            buffer.append(episode("more"))
    assert names(buffer) == ["0", "2", "more"]
    assert (tmp_path / "damaged" / path.name).read_bytes() == data and not path.exists()


def test_an_orphan_with_nothing_left_to_read_is_kept(tmp_path: Path) -> None:
    path = orphan(tmp_path, 1)
    data = flip(path, 30)
    with pytest.warns(UserWarning, match="it is kept in"):
        adopt_orphans(tmp_path)
    assert (tmp_path / "damaged" / path.name).read_bytes() == data
    assert not list(tmp_path.glob("*.parquet"))


def test_a_damaged_shard_is_written_again_from_its_journal(tmp_path: Path) -> None:
    path = orphan(tmp_path, 3)
    whole = path.read_bytes()
    adopt_orphans(tmp_path)
    shard = journal.shard_of(path)
    data = flip(shard, shard.stat().st_size // 3)
    path.write_bytes(whole)  # its writer died before it could remove it
    adopt_orphans(tmp_path)
    assert names(TrajectoryBuffer(tmp_path)) == ["0", "1", "2"] and not path.exists()
    assert (tmp_path / "damaged" / f"_{shard.name}").read_bytes() == data


def test_what_cannot_be_written_stays_a_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = orphan(tmp_path, 3)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shards, "write_shard", full)
    with pytest.raises(DataError, match="No space left on device"):
        roll(path)
    with pytest.warns(UserWarning, match=r"No space left on device.*it stays as it is"):
        adopt_orphans(tmp_path)
    assert names(TrajectoryBuffer(tmp_path)) == ["0", "1", "2"]


def test_a_living_writers_journal_is_not_adopted(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    adopt_orphans(tmp_path)
    assert writer.journal.path.exists() and writer.journal.path.name.startswith(f"_{writer.name}")


def test_names_of_what_is_set_aside_are_never_taken_twice_and_hidden_from_parquet_tools(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    moved = []
    for number in range(3):
        (tmp_path / "x.parquet").write_text(str(number))
        moved.append(set_aside(tmp_path / "x.parquet"))
    assert [path.read_text() for path in moved] == ["0", "1", "2"] and len(set(moved)) == 3
    shard_with(tmp_path / "buffer", 2)
    (tmp_path / "buffer" / "y.parquet").write_text("broken")
    set_aside(tmp_path / "buffer" / "y.parquet")
    assert pq.read_table(tmp_path / "buffer").num_rows == 2


def test_a_folder_that_may_not_be_written_to_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shard_with(tmp_path, 2)
    buffer = TrajectoryBuffer(tmp_path)

    def forbidden(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(journal.os, "open", forbidden)
    with pytest.raises(DataError, match=r"cannot write .*Permission denied.*name a place where you may write"):
        buffer.append(episode("2"))
    assert names(buffer) == ["0", "1"]


def test_what_has_the_name_of_a_shard_and_is_none_is_not_waited_for(tmp_path: Path) -> None:
    path = orphan(tmp_path, 2)
    os.mkfifo(journal.shard_of(path))
    adopt_orphans(tmp_path)
    assert names(TrajectoryBuffer(tmp_path)) == ["0", "1"] and len(list((tmp_path / "damaged").iterdir())) == 1
