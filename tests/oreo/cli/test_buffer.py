"""`oreo buffer`: what it prints, and how it ends."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from oreo.cli import main
from oreo.data.buffer import TrajectoryBuffer
from oreo.trajectory import Step, Trajectory

EPISODE = Trajectory("toy", (Step("o", "a", 1.0),), "end", terminated=True, truncated=False, won=True)


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of `oreo buffer …`."""
    with pytest.raises(SystemExit) as end:
        main(["buffer", *arguments])
    return (int(end.value.code or 0), *capsys.readouterr())


def test_check_says_what_is_damaged_and_whether_it_still_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(2):
        with TrajectoryBuffer(tmp_path) as buffer:
            buffer.append(EPISODE)
    bad = min(tmp_path.glob("*.parquet"))
    bad.write_bytes(bad.read_bytes()[:-1])

    def check(*options: str) -> tuple[int, dict[str, Any]]:
        code, out, _ = run(capsys, "check", str(tmp_path), "--json", *options)
        return code, json.loads(out)

    code, result = check()
    assert code == 1 and result["episodes"] == 1 and not result["repaired"]
    assert len(result["damaged"]) == 1 and str(bad) in result["damaged"][0]
    code, result = check("--repair")
    assert code == 0 and result["episodes"] == 1 and len(result["damaged"]) == 1 and result["repaired"]
    code, result = check()
    assert code == 0 and result["damaged"] == [] and (tmp_path / "damaged" / f"_{bad.name}").exists()
    code, out, _ = run(capsys, "check", str(tmp_path))
    assert code == 0 and "damaged" in out


@pytest.mark.parametrize("command", ["info", "check"])
@pytest.mark.parametrize("name", ["none", "a" * 300, "a/" + "b" * 256, "~nobody-of-this-name/x"])
def test_a_name_of_no_buffer_is_one_line(command: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, error = run(capsys, command, name)
    assert code == 2 and out == "" and error.count("\n") == 1 and "there is no such buffer" in error


def test_a_path_that_is_no_unicode_is_refused_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    with TrajectoryBuffer(folder) as buffer:
        buffer.append(EPISODE)
    code, out, error = run(capsys, "info", folder)
    assert code == 2 and out == "" and error.count("\n") == 1
