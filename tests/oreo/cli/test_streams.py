"""Standard streams that are closed or full, places that cannot be used: one line, an exit code, no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def shell(line: str, cwd: Path, **environment: str) -> tuple[int, str, str]:
    process = subprocess.run(
        ["bash", "-c", f'oreo() {{ "{sys.executable}" -m oreo "$@"; }}; {line}'],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )
    return process.returncode, process.stdout, process.stderr


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["oreo envs", "oreo recipes --json", "oreo --help", "oreo --version"])
def test_a_full_device_is_one_line(tmp_path: Path, command: str, unbuffered: str) -> None:
    code, _, error = shell(f"{command} > /dev/full", tmp_path, PYTHONUNBUFFERED=unbuffered)
    assert code == 1 and error.count("\n") == 1
    assert error.startswith("oreo: ") and "standard output" in error and "No space left" in error


def test_closed_streams_are_one_line_or_none(tmp_path: Path) -> None:
    code, out, error = shell("oreo envs >&-", tmp_path)
    assert (code, out) == (2, "")
    assert error == "oreo: standard output is closed, and results go there; for none give it > /dev/null\n"
    assert shell("oreo envs --nope 2>&-", tmp_path) == (2, "", "")
    assert shell("oreo envs >&- 2>&- <&-", tmp_path) == (2, "", "")
    code, out, error = shell("oreo replay nowhere <&-", tmp_path)
    assert (code, out, error.count("\n")) == (2, "", 1)
    code, out, error = shell("oreo envs --nope 2>/dev/full", tmp_path)
    assert (code, out, error) == (2, "", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    ("command", "code"), [("oreo envs --nope", 2), ("oreo eval --agent random --episodes 2 --max-steps 3", 0)]
)
def test_a_full_standard_error_changes_no_exit_code(command: str, code: int, unbuffered: str, tmp_path: Path) -> None:
    """Python itself would end with 120 where it holds back what was not taken."""
    ended, _, error = shell(f"{command} 2>/dev/full", tmp_path, PYTHONUNBUFFERED=unbuffered)
    assert (ended, error) == (code, "")


def test_a_file_that_is_opened_does_not_take_the_place_of_a_closed_stream(tmp_path: Path) -> None:
    collect = "oreo collect --episodes 1 --into b --env-arg max_objects=9 <&- 2>&-"
    assert shell(collect, tmp_path)[0] == 0
    code, out, _ = shell("oreo buffer info b --json", tmp_path)
    assert code == 0 and '"episodes": 1' in out


LONG = "a" * 300
COMMANDS = [
    "quickstart --fast --output {}",
    "collect --episodes 1 --into {}",
    "eval --agent random --episodes 1 --into {}",
    "iterate --rounds 1 --episodes 1 --output {}",
    "train {} --output o",
    "replay {}",
    "buffer info {}",
    "games info --data {}",
    "games generate --count 1 --output {}",
    "watch --agent random --env {}.py:Env",
]


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("place", [LONG, f"{LONG}/x", "file/inside", "/proc/nowhere/x"])
def test_a_place_that_cannot_be_used_is_one_line(oreo, tmp_path: Path, command: str, place: str) -> None:
    (tmp_path / "file").write_text("not a folder")
    code, out, error = oreo(*command.format(place).split())
    assert code in (1, 2) and out == ""
    assert error.startswith("oreo: ") and error.count("\n") == 1 and "foresee" not in error, error


@pytest.mark.parametrize("command", [*COMMANDS, "recipes show {}", "{}", "eval --{}"])
@pytest.mark.parametrize("name", ["caf\udce9", "nul\0nul"])
def test_a_name_that_is_no_text_is_refused_before_anything_is_done(
    oreo, tmp_path: Path, command: str, name: str
) -> None:
    code, out, error = oreo(*command.format(name).split(" "))
    assert (code, out, error.count("\n")) == (2, "", 1)
    assert "not UTF-8" in error or "NUL" in error
    assert not list(tmp_path.iterdir())
