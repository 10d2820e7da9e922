"""New buffers from old ones are whole or not there, hold each episode once, and say where it came from."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from oreo.data.buffer import TrajectoryBuffer
from oreo.data.derived import came_from, copy, drawn, firsts, new_buffer, share_of_games
from oreo.errors import DataError, UsageError

from .episodes import RICH, episode, names, orphan, shard_with

ROOT = Path(__file__).parents[3]
KILLS = int(os.environ.get("OREO_KILLS", "6"))
"""Times that a merge is killed; 200 were tried by hand."""


def games(folder: Path) -> list[str]:
    return names(TrajectoryBuffer(folder, create=False))


def test_a_copy_is_equal_but_for_where_it_came_from(tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path / "a") as a:
        a.extend([episode("0"), RICH, episode("2", won=False)])
    with new_buffer(tmp_path / "b") as b:
        assert copy(a.where("won"), b) == 2
    with new_buffer(tmp_path / "c") as c:
        copy(TrajectoryBuffer(tmp_path / "b").where('game == "rich"'), c)
    (twice,) = TrajectoryBuffer(tmp_path / "c")
    history = [{"buffer": str(tmp_path / "a"), "episode": 1}, {"buffer": str(tmp_path / "b"), "episode": 1}]
    assert twice == replace(RICH, extra={**RICH.extra, "came_from": history})
    assert len(TrajectoryBuffer(tmp_path / "c").where(came_from=str(tmp_path / "b"))) == 1
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a", "b", "c"]
    assert not list((tmp_path / "b").glob(".*"))


def test_what_is_there_is_never_written_onto(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    with pytest.raises(UsageError, match="is there already"):
        with new_buffer(tmp_path / "b"):
            raise AssertionError("it may not be opened")
    with pytest.raises(UsageError, match="is there already"):
        with new_buffer(tmp_path / "c") as target:
            target.append(episode())
            (tmp_path / "c").write_text("somebody was faster")
    assert (tmp_path / "c").read_text() == "somebody was faster"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["b", "c"]


def test_an_interrupt_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        with new_buffer(tmp_path / "b") as target:
            target.append(episode())
            raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_what_others_are_writing_under_the_same_name_is_left_alone(tmp_path: Path) -> None:
    with new_buffer(tmp_path / "b") as first:
        first.append(episode("first"))
        with pytest.raises(RuntimeError):
            with new_buffer(tmp_path / "b"):
                raise RuntimeError
    assert games(tmp_path / "b") == ["first"]


def test_nothing_is_made_of_a_damaged_buffer(tmp_path: Path) -> None:
    path = shard_with(tmp_path / "a", 300)
    whole = bytearray(path.read_bytes())
    whole[len(whole) // 2] ^= 255
    path.write_bytes(whole)
    with pytest.raises(DataError, match="check --repair") as error:
        with new_buffer(tmp_path / "b") as target:
            copy(TrajectoryBuffer(tmp_path / "a").where(), target)
    assert "\n" not in str(error.value) and not (tmp_path / "b").exists()


def test_draws_and_shares(tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path) as buffer:
        buffer.extend(episode(str(index % 10), steps=1 + index // 10) for index in range(40))
    view = buffer.where("steps > 1")
    assert len(drawn(view, seed=0, count=7)) == 7 and drawn(view, seed=0, count=7) == drawn(view, seed=0, count=7)
    assert drawn(view, seed=0, count=7) != drawn(view, seed=1, count=7)
    two = drawn(view, seed=0, per_game=2)
    assert sorted(view[number].game for number in two) == sorted(list(map(str, range(10))) * 2)
    with pytest.raises(UsageError, match="31 episodes are asked for, and there are 30"):
        drawn(view, seed=0, count=31)
    some = share_of_games(view, 0.3, seed=0)
    assert len(some) == 9 and len({view[number].game for number in some}) == 3
    with pytest.raises(UsageError, match="each part needs at least one"):
        share_of_games(view, 0.01, seed=0)


def test_equal_episodes_are_kept_once(tmp_path: Path) -> None:
    one = episode("a")
    with TrajectoryBuffer(tmp_path) as buffer:
        buffer.extend([one, episode("b"), replace(one, agent="other", seed=3), replace(one, won=False), one])
    assert firsts(buffer.where()) == {0, 1, 3}
    assert firsts(buffer.where("not won or agent == 'other'")) == {0, 1}


MERGE = """
import sys
from pathlib import Path
from oreo.data.buffer import TrajectoryBuffer
from oreo.data.derived import copy, new_buffer
print("begin", flush=True)
with new_buffer(Path("m")) as target:
    for name in ("a", "b"):
        copy(TrajectoryBuffer(name, create=False).where(), target)
"""


def test_a_merge_that_is_killed_and_done_again_has_each_episode_once(tmp_path: Path) -> None:
    shard_with(tmp_path / "a", 400)
    orphan(tmp_path / "b", 300)
    expected = [str(number) for number in (*range(400), *range(300))]
    rng = random.Random(0)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    def merge() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", MERGE], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        )

    killed = 0
    for _ in range(KILLS):
        process = merge()
        assert process.stdout is not None and process.stdout.readline() == "begin\n"
        time.sleep(rng.random() * 0.5)
        process.kill()
        process.communicate()
        if (tmp_path / "m").exists():  # it was done before it was killed, and is whole
            assert games(tmp_path / "m") == expected
            (tmp_path / "m").rename(tmp_path / f"done{killed}")
        else:
            killed += 1
    process = merge()
    process.communicate()
    assert process.returncode == 0 and games(tmp_path / "m") == expected
    assert not list(tmp_path.glob(".m.*")) and killed
    assert names(TrajectoryBuffer(tmp_path / "a")) + names(TrajectoryBuffer(tmp_path / "b")) == expected


def test_what_is_no_history_is_not_added_to() -> None:
    odd = replace(episode(), extra={"came_from": "hearsay"})
    assert came_from(odd, Path("a"), 3).extra == {"came_from": [{"buffer": "a", "episode": 3}]}
