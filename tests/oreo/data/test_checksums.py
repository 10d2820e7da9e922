"""oreo.data.checksums: every change of a shard is noticed, and files without checksums are read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oreo.data.checksums import MARK
from oreo.data.records import Damaged
from oreo.data.shards import ShardFile
from oreo.trajectory import Trajectory

from .episodes import RICH, changed, read, stored


def noticed_or_harmless(shard: ShardFile, trajectories: list[Trajectory]) -> bool:
    """Whether the change was noticed; if it was not, nothing else may have come of it."""
    try:
        columns = list(ShardFile(shard.path).columns(["seed", "won", "length"]))
        count = ShardFile(shard.path).count
        items = read(shard)
    except Damaged as error:
        assert shard.path.name in str(error) and "\n" not in str(error)
        return True
    except UserWarning as warning:
        assert shard.path.name in str(warning) and "damaged" in str(warning)
        return True
    assert items == trajectories and count == len(trajectories)
    assert [row for _, row in columns] == [
        (trajectory.seed, trajectory.won, len(trajectory)) for trajectory in trajectories
    ]
    return False


def test_every_bit_of_the_footer_is_checked_when_a_shard_is_opened(tmp_path: Path) -> None:
    shard = stored(tmp_path, [RICH])
    whole = shard.path.read_bytes()
    block = whole.index(MARK)
    silent = 0
    places = sorted({*range(block - 40, block + 40), *range(block, len(whole), 7), *range(len(whole) - 8, len(whole))})
    for number, at in enumerate(places):
        changed(shard.path, whole, at, whole[at] ^ 1 << number % 8)
        assert ShardFile(shard.path).damage()
        silent += not noticed_or_harmless(ShardFile(shard.path), [RICH])
    # With a change of the mark itself it is read as it was written, and named by whoever looks for damage.
    assert silent == len(MARK)


def test_a_damaged_mark_is_named_and_what_it_marks_still_checked(tmp_path: Path) -> None:
    shard = stored(tmp_path, [RICH])
    whole = shard.path.read_bytes()
    changed(shard.path, whole, whole.index(MARK), 0)
    (error,) = ShardFile(shard.path).damage()
    assert "the mark of its checksums" in str(error) and ShardFile(shard.path).readable() == [RICH]
    half = bytearray(shard.path.read_bytes())
    half[20] ^= 1  # and the data as well
    shard.path.write_bytes(half)
    assert len(ShardFile(shard.path).damage()) == 2 and ShardFile(shard.path).readable() == []


def test_every_changed_byte_of_the_data_is_noticed(tmp_path: Path) -> None:
    shard = stored(tmp_path, [RICH])
    whole = shard.path.read_bytes()
    for number, at in enumerate(range(4, whole.index(MARK), 5)):
        changed(shard.path, whole, at, whole[at] ^ 1 << number % 8)
        assert noticed_or_harmless(ShardFile(shard.path), [RICH])


def test_a_damaged_beginning_is_named_and_what_follows_still_read(tmp_path: Path) -> None:
    shard = stored(tmp_path, [RICH])
    whole = shard.path.read_bytes()
    for at in range(4):
        changed(shard.path, whole, at, whole[at] ^ 1 << at)
        (error,) = ShardFile(shard.path).damage()
        assert "its beginning is not as it was written" in str(error) and ShardFile(shard.path).readable() == [RICH]


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


def test_a_file_written_again_by_another_tool_is_read_without_checksums(tmp_path: Path) -> None:
    shard = stored(tmp_path, [RICH] * 5)
    pq.write_table(pq.read_table(shard.path), tmp_path / "copy.parquet")
    assert MARK not in (tmp_path / "copy.parquet").read_bytes()
    assert read(ShardFile(tmp_path / "copy.parquet")) == [RICH] * 5
