"""What is made is there whole or not at all, and what killed processes left of it goes with the next attempt."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from oreo.data.making import making
from oreo.errors import DataError, UsageError

DIES = """
import os, signal, sys
from pathlib import Path
from oreo.data.making import making
calls = 0
def trace(frame, event, argument):
    global calls
    if "making.py" in frame.f_code.co_filename and event == "line":
        calls += 1
        if calls == int(sys.argv[2]):
            os.kill(os.getpid(), signal.SIGKILL)
    return trace
sys.settrace(trace)
with making(Path(sys.argv[1])) as new:
    new.write_text("whole")
"""


def test_it_is_there_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "x"
    with making(path) as new:
        new.mkdir()
        (new / "a").write_text("1")
        assert not path.exists()
    assert (path / "a").read_text() == "1"
    assert os.listdir(path.parent) == ["x"] and os.listdir(path) == ["a"]


def test_nothing_is_left_of_what_fails(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), making(tmp_path / "x") as new:
        new.write_text("half")
        raise KeyboardInterrupt
    assert os.listdir(tmp_path) == []
    (tmp_path / "file").touch()
    with (
        pytest.raises(DataError, match=r"cannot write .*file/x \(.*\); there is none now"),
        making(tmp_path / "file" / "x"),
    ):
        raise AssertionError("it may not begin")


def test_what_is_there_is_never_written_onto(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("mine")
    with pytest.raises(UsageError, match="is there already"), making(tmp_path / "x"):
        raise AssertionError("it may not begin")
    (tmp_path / "x").unlink()
    with pytest.raises(UsageError, match="is there already"), making(tmp_path / "x") as new:
        new.write_text("whole")
        (tmp_path / "x").write_text("somebody was faster")
    assert (tmp_path / "x").read_text() == "somebody was faster" and os.listdir(tmp_path) == ["x"]


def test_two_at_once_leave_each_other_alone(tmp_path: Path) -> None:
    with making(tmp_path / "x") as first:
        first.write_text("first")
        with pytest.raises(RuntimeError), making(tmp_path / "x"):
            raise RuntimeError
    assert (tmp_path / "x").read_text() == "first"


@pytest.mark.skipif(sys.platform == "win32", reason="no signals, and no locks that end with a process")
def test_whatever_a_killed_process_leaves_goes_with_the_next_attempt(tmp_path: Path) -> None:
    kills = 0
    for line in range(1, 200, 6):  # the place of death; each is a process, of a third of a second
        code = subprocess.run([sys.executable, "-c", DIES, str(tmp_path / "x"), str(line)]).returncode
        if (tmp_path / "x").exists():
            assert (tmp_path / "x").read_text() == "whole"
            (tmp_path / "x").unlink()
        if code == 0:
            break
        kills += 1
    assert kills > 4
    with making(tmp_path / "x") as new:
        new.write_text("whole")
    assert os.listdir(tmp_path) == ["x"]
