"""Checking names all that is damaged; repairing keeps all that is not, and deletes nothing."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from oreo.data.buffer import TrajectoryBuffer
from oreo.data.journal import Journal
from oreo.data.repair import check, repair
from oreo.errors import DataError

from .episodes import episode, names, orphan, shard_with


@pytest.fixture
def damaged(tmp_path: Path) -> TrajectoryBuffer:
    """A shard of 300 with one bad row group, a shard that is no file, one that is cut short, and a journal."""
    shard = shard_with(tmp_path, 300)
    chunk = pq.read_metadata(shard).row_group(1).column(3)
    data = bytearray(shard.read_bytes())
    data[chunk.data_page_offset + 20] ^= 1
    shard.write_bytes(data)
    os.mkfifo(tmp_path / "9-pipe.parquet")
    (tmp_path / "9-short.parquet").write_bytes(data[:1000])
    path = orphan(tmp_path / "other", 3)
    lines = bytearray(path.read_bytes())
    lines[len(lines) // 2] ^= 1
    (tmp_path / "_9-x.journal").write_bytes(lines)
    return TrajectoryBuffer(tmp_path, create=False)


KEPT = [str(number) for number in (*range(128), *range(256, 300))] + ["0", "2"]


def test_check_names_each_altered_shard_and_record_and_changes_nothing(damaged: TrajectoryBuffer) -> None:
    before = sorted(damaged.path.iterdir())
    damages = check(damaged)
    assert [path.name.split("-")[-1] for path in damages] == [
        "pipe.parquet",
        "00001.parquet",
        "short.parquet",
        "x.journal",
    ]
    lines = [str(error) for errors in damages.values() for error in errors]
    assert len(lines) == 4 and "episodes 128 to 255" in lines[1] and "line 2" in lines[3]
    assert sorted(damaged.path.iterdir()) == before


def test_repair_moves_what_is_damaged_and_keeps_the_rest(damaged: TrajectoryBuffer) -> None:
    originals = {path.name: path.read_bytes() for path in check(damaged) if path.is_file()}
    with pytest.warns(UserWarning, match="line 2"):
        damages = repair(damaged)
    assert len(damages) == 4
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert names(damaged) == KEPT and len(damaged) == len(KEPT)
        assert check(damaged) == {} and repair(damaged) == {}
    kept = {path.name.removeprefix("_"): path for path in (damaged.path / "damaged").iterdir()}
    for name, data in originals.items():
        assert kept[name.removeprefix("_")].read_bytes() == data
    assert len(kept) == 4
    damaged.append(episode("more"))
    damaged.close()
    assert sorted(names(damaged)) == sorted([*KEPT, "more"])


def test_a_whole_buffer_has_nothing_to_repair(tmp_path: Path) -> None:
    shard_with(tmp_path, 3)
    buffer = TrajectoryBuffer(tmp_path)
    buffer.append(episode("3"))
    assert check(buffer) == {} and repair(buffer) == {}
    assert names(buffer) == ["0", "1", "2", "3"] and not (tmp_path / "damaged").exists()


def test_a_living_writers_damaged_journal_is_left_to_it(tmp_path: Path) -> None:
    buffer = TrajectoryBuffer(tmp_path)
    journal = Journal(tmp_path / "_0-1.journal")
    with journal.path.open("ab") as file:
        file.write(b"nonsense\n")
    with pytest.raises(DataError, match="its writer is still at work"):
        repair(buffer)
    assert journal.path.read_bytes() == b"nonsense\n"
