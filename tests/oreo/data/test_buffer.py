"""What was appended is there, exactly and once, whoever else writes and however the writer ends."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oreo.data.buffer import MANIFEST, TrajectoryBuffer, check_place
from oreo.errors import DataError
from oreo.trajectory import Trajectory

from .episodes import episode, names, orphan, same, shard_with, trajectories

ROOT = Path(__file__).parents[3]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(trajectories, min_size=1, max_size=4))
def test_what_was_appended_comes_back_exactly_from_journal_and_from_shard(given_ones: list[Trajectory]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        buffer = TrajectoryBuffer(folder)
        buffer.extend(given_ones)
        assert same(tuple(buffer), tuple(given_ones))
        buffer.close()
        assert same(tuple(TrajectoryBuffer(folder, create=False)), tuple(given_ones))


def test_any_parquet_tool_reads_it(tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    with TrajectoryBuffer(tmp_path) as buffer:
        buffer.extend([episode("a"), episode("b", won=False, steps=0)])
        buffer.flush()
        buffer.append(episode("still in the journal"))
        table = pq.read_table(tmp_path)
    assert table.column("game").to_pylist() == ["a", "b"]
    assert table.column("length").to_pylist() == [2, 0]
    assert table.column("episode_return").to_pylist() == [1.0, 0.0]
    assert table.column("steps").to_pylist()[0][1]["action"] == "do 1"


def test_shards_fill_up_and_numbering_goes_on(tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path, episodes_per_shard=3) as buffer:
        for index in range(8):
            buffer.append(episode(str(index)))
            assert len(buffer) == index + 1
            assert names(buffer) == [str(number) for number in range(index + 1)]
    assert len(list(tmp_path.glob("*.parquet"))) == 3
    assert [buffer[index].game for index in range(-8, 8)] == [str(index % 8) for index in range(-8, 8)]
    with pytest.raises(IndexError, match="8 episodes"):
        buffer[8]


def test_appending_goes_on_after_closing(tmp_path: Path) -> None:
    buffer = TrajectoryBuffer(tmp_path)
    buffer.append(episode("a"))
    buffer.close()
    buffer.append(episode("b"))
    assert names(TrajectoryBuffer(tmp_path)) == ["a", "b"]


def test_info_counts_what_is_there(tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path, episodes_per_shard=2) as buffer:
        buffer.extend(episode(str(index), won=index == 0, agent="ab"[index % 2]) for index in range(3))
        info = buffer.info()
    assert (info["episodes"], info["steps"], info["won"], info["success_rate"]) == (3, 6, 1, 1 / 3)
    assert (info["shards"], info["journals"]) == (1, 1)
    assert info["by_agent"] == {
        "a": {"episodes": 2, "won": 1, "success_rate": 0.5},
        "b": {"episodes": 1, "won": 0, "success_rate": 0.0},
    }
    assert info["bytes"] > 0


def test_an_empty_buffer_is_empty(tmp_path: Path) -> None:
    buffer = TrajectoryBuffer(tmp_path / "new" / "one")
    assert (len(buffer), list(buffer), buffer.info()["success_rate"]) == (0, [], None)
    buffer.close()
    assert [entry.name for entry in buffer.path.iterdir()] == [MANIFEST]


WRITER = """
import sys
from tests.oreo.data.episodes import episode
from oreo.data.buffer import TrajectoryBuffer

folder, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
buffer = TrajectoryBuffer(folder, episodes_per_shard=5)
for index in range(count):
    buffer.append(episode(f"{name}{index:05d}"))
    print(index, flush=True)
buffer.close()
"""


def start_writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", textwrap.dedent(WRITER), str(folder), name, str(count)]
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONPATH": path}, cwd=ROOT)


def test_two_writers_at_once_lose_nothing_and_count_nothing_twice(tmp_path: Path) -> None:
    writers = [start_writer(tmp_path / "buffer", name, 23) for name in "ab"]
    seen = 0
    while any(writer.poll() is None for writer in writers):
        time.sleep(0.02)
        if (tmp_path / "buffer" / MANIFEST).exists():
            now = names(TrajectoryBuffer(tmp_path / "buffer", create=False))
            assert len(now) == len(set(now)) >= seen
            seen = len(now)
    assert [writer.communicate() and writer.returncode for writer in writers] == [0, 0]
    buffer = TrajectoryBuffer(tmp_path / "buffer")
    assert sorted(names(buffer)) == [f"{name}{index:05d}" for name in "ab" for index in range(23)]
    assert buffer.info()["journals"] == 0


def test_a_killed_writer_loses_at_most_the_episode_in_flight(tmp_path: Path) -> None:
    writer = start_writer(tmp_path, "a", 10**6)
    assert writer.stdout is not None
    for line in writer.stdout:
        if int(line) >= 18:
            break
    os.kill(writer.pid, signal.SIGKILL)
    output = writer.communicate()[0].split()
    stored = int(output[-1]) + 1 if output else 19
    reader = TrajectoryBuffer(tmp_path, create=False)
    seen = names(reader)
    assert seen == [f"a{index:05d}" for index in range(len(seen))]
    assert stored <= len(seen) <= stored + 1, "one more may be stored and not yet reported"
    # The next writer makes a shard of what the dead one left.
    with TrajectoryBuffer(tmp_path) as buffer:
        buffer.append(episode("z"))
    assert names(reader) == [*seen, "z"]
    assert not list(tmp_path.glob("*.journal"))


def test_a_torn_last_record_is_left_out_with_a_warning(tmp_path: Path) -> None:
    path = orphan(tmp_path, 3)
    whole = path.read_bytes()
    for cut in (1, 2, 40):
        path.write_bytes(whole[:-cut])
        with pytest.warns(UserWarning, match="not written completely"):
            assert names(TrajectoryBuffer(tmp_path)) == ["0", "1"]
    with pytest.warns(UserWarning, match="not written completely"), TrajectoryBuffer(tmp_path) as buffer:
        buffer.append(episode("2"))
    assert names(buffer) == ["0", "1", "2"]


def test_death_between_shard_and_journal_counts_nothing_twice(tmp_path: Path) -> None:
    path = orphan(tmp_path, 3)
    journal = path.read_bytes()
    with TrajectoryBuffer(tmp_path) as buffer:
        buffer.append(episode("3"))
    assert path.with_name(path.stem[1:] + ".parquet").exists()
    path.write_bytes(journal)
    assert names(buffer) == ["0", "1", "2", "3"]
    buffer.append(episode("4"))
    assert names(buffer) == ["0", "1", "2", "3", "4"]
    assert not path.exists()


def test_a_living_writers_journal_is_left_alone(tmp_path: Path) -> None:
    first, second = TrajectoryBuffer(tmp_path), TrajectoryBuffer(tmp_path)
    first.append(episode("a"))
    second.append(episode("b"))
    first.append(episode("c"))
    assert sorted(names(second)) == ["a", "b", "c"]
    assert len(list(tmp_path.glob("*.journal"))) == 2


def test_a_reader_in_the_middle_does_not_notice_a_journal_become_a_shard(tmp_path: Path) -> None:
    buffer = TrajectoryBuffer(tmp_path)
    buffer.extend(episode(str(index)) for index in range(3))
    files = buffer.readable_files()
    buffer.flush()
    assert [episode.game for file in files for episode in file.trajectories()] == ["0", "1", "2"]
    assert [file.count for file in files] == [3]
    assert [row for _, row in files[0].columns(["game"])] == [
        ("0",),
        ("1",),
        ("2",),
    ]


def test_a_failed_write_leaves_the_journal_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    buffer = TrajectoryBuffer(tmp_path)
    buffer.append(episode("a"))
    write = os.write

    def full(file: int, data: bytes) -> int:
        if len(data) > 20:
            return write(file, data[:20])
        raise OSError(28, "No space left on device")

    def half(file: int, data: bytes) -> int:
        monkeypatch.setattr(os, "write", full)
        return write(file, data[: len(data) - 10])

    monkeypatch.setattr(os, "write", half)
    with pytest.raises(DataError, match="No space left on device"):
        buffer.append(episode("b"))
    monkeypatch.undo()
    buffer.append(episode("c"))
    assert names(buffer) == ["a", "c"]


# What is refused, in one line.


def one_line(error: pytest.ExceptionInfo[DataError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_reading_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such folder") as error:
        TrajectoryBuffer(tmp_path / "none", create=False)
    assert "none" in one_line(error)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("create", [True, False])
def test_a_folder_of_other_things_is_refused(create: bool, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(DataError, match="is no trajectory buffer: .* holds other things"):
        TrajectoryBuffer(tmp_path, create=create)
    with pytest.raises(DataError, match="is a file"):
        TrajectoryBuffer(tmp_path / "thesis.tex", create=create)


@pytest.mark.parametrize("name", ["eto.json", "chats.jsonl", "train.parquet"])
def test_what_may_be_trajectories_of_others_is_refused_with_the_command_that_reads_it(
    name: str, tmp_path: Path
) -> None:
    (tmp_path / name).write_text("{}")
    for path in (tmp_path / name, tmp_path):
        with pytest.raises(DataError) as error:
            TrajectoryBuffer(path)
        assert f"`oreo buffer import {tmp_path / name} --into BUFFER`" in one_line(error)


def test_a_newer_buffer_is_refused(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(json.dumps({"format": "oreo-trajectories", "version": 99}))
    with pytest.raises(DataError, match="schema version 99"):
        TrajectoryBuffer(tmp_path)
    (tmp_path / MANIFEST).write_text("{")
    with pytest.raises(DataError, match="is damaged"):
        TrajectoryBuffer(tmp_path)


# One bad thing stops nothing else.


@pytest.mark.parametrize("damage", ["cut short", "flipped", "emptied", "of another kind", "a folder", "a pipe"])
def test_a_bad_shard_is_named_and_the_others_are_read(damage: str, tmp_path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    bad = shard_with(tmp_path, 3)
    with TrajectoryBuffer(tmp_path) as buffer:
        buffer.append(episode("of another shard"))
    data = bytearray(bad.read_bytes())
    data[len(data) // 4] ^= 0xFF
    if damage in ("cut short", "flipped", "emptied"):
        bad.write_bytes({"cut short": data[:-50], "flipped": data, "emptied": b""}[damage])
    else:
        bad.unlink()
        if damage == "of another kind":
            pq.write_table(pa.table({"x": [1]}), bad)
        elif damage == "a folder":
            bad.mkdir()
        else:
            os.mkfifo(bad)
    with pytest.warns(UserWarning, match=bad.name):
        assert names(buffer) == ["of another shard"]
    with pytest.warns(UserWarning, match=bad.name):
        assert [stored.game for stored in buffer.where(won=True)] == ["of another shard"]
    if damage != "flipped":  # which columns other than the ones it needs does not concern info()
        with pytest.warns(UserWarning, match=bad.name):
            assert buffer.info()["by_agent"]["random"]["episodes"] == 1
    with pytest.warns(UserWarning, match=bad.name), TrajectoryBuffer(tmp_path) as more:
        more.append(episode("more"))
        assert more[-1].game == "more" and names(more) == ["of another shard", "more"]


def test_an_episode_that_is_damaged_is_not_given_as_an_item(tmp_path: Path) -> None:
    shard = shard_with(tmp_path, 3)
    data = bytearray(shard.read_bytes())
    data[len(data) // 4] ^= 0xFF
    shard.write_bytes(data)
    with pytest.raises(DataError, match="episodes 0 to 2: damaged") as error:
        TrajectoryBuffer(tmp_path)[1]
    assert shard.name in one_line(error)


def test_a_folder_with_the_name_of_a_journal_is_passed_over(tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path) as buffer:
        (tmp_path / "_x.journal").mkdir()
        with pytest.warns(UserWarning, match="_x.journal is no regular file"):
            buffer.append(episode("a"))
            assert names(buffer) == ["a"]


@pytest.mark.parametrize(
    "manifest", ['{"version": 1e400}', '{"version": true}', "[" * 50_000, '{"version": -1}', "[3]", '{"version": "4"}']
)
def test_a_manifest_that_is_none_gives_one_line(manifest: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(DataError, match="_buffer.json is damaged") as error:
        TrajectoryBuffer(tmp_path)
    assert len(one_line(error)) < 600


@pytest.mark.parametrize("name", ["a" * 300, "a/" + "b" * 256, "zero\0byte", "~nobody-of-this-name/x"])
@pytest.mark.parametrize("create", [True, False])
def test_a_name_that_no_folder_can_have_gives_one_line(create: bool, name: str, tmp_path: Path) -> None:
    folder = name if name.startswith("~") else tmp_path / name
    with pytest.raises(DataError) as error:
        TrajectoryBuffer(folder, create=create)
    one_line(error)


def test_a_place_is_looked_at_without_making_anything(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    shard_with(tmp_path / "buffer", 1)
    before = sorted(tmp_path.rglob("*"))
    for name in ("new", "a/b/new", "empty", "buffer"):
        check_place(tmp_path / name)
    for name in ("a" * 300, "a/" + "b" * 256, "zero\0byte", f"buffer/{MANIFEST}", f"buffer/{MANIFEST}/x", "."):
        with pytest.raises(DataError) as error:
            check_place(tmp_path / name)
        one_line(error)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_buffer_whose_name_is_no_unicode_works_as_any_other(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with TrajectoryBuffer(folder) as buffer:
        buffer.append(episode("a"))
    assert names(TrajectoryBuffer(folder)) == ["a"] and TrajectoryBuffer(folder)[0].game == "a"
    assert TrajectoryBuffer(folder).info()["episodes"] == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_folder_that_may_not_be_written_to_is_read_and_not_appended_to(tmp_path: Path) -> None:
    shard_with(tmp_path, 2)
    tmp_path.chmod(0o500)
    try:
        buffer = TrajectoryBuffer(tmp_path, create=False)
        assert names(buffer) == ["0", "1"]
        with pytest.raises(DataError, match=r"cannot write .*Permission denied"):
            buffer.append(episode("2"))
    finally:
        tmp_path.chmod(0o700)


def test_how_often_each_game_is_stored(tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path, episodes_per_shard=2) as buffer:
        buffer.extend(replace(episode(game), seed=seed) for game, seed in [("a", 1), ("a", 1), ("b", 1)])
        assert buffer.stored_games() == {(1, "a"): 2, (1, "b"): 1}


def test_what_cannot_be_stored_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path) as buffer:
        buffer.append(episode("a"))
        with pytest.raises(DataError) as error:
            buffer.append(replace(episode("b"), task=None))  # type: ignore[arg-type]
        one_line(error)
        buffer.append(episode("c"))
    assert names(buffer) == ["a", "c"]
