"""What the README shows is run: its example is the example, its commands and its Python work (on fewer episodes)."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers.commands import run_oreo

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
FEWER = {
    "collect": ["--episodes", "4"],
    "eval": ["--episodes", "2"],
    "train": ["--epochs", "1"],
    "watch": ["--delay", "0"],
    "games": [],
    "iterate": ["--episodes", "3", "--held-out", "2", "--rounds", "1"],
}
# Needs a download, or minutes; `oreo quickstart --fast` has its own test.
NOT_HERE = re.compile(r"quickstart|valid_seen|games info|games pack|served:|gsm8k:")


def blocks(language: str) -> list[str]:
    # All fences in order, whatever their language: the end of one block must not pass for the beginning of another.
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)
    return [text for fence, text in fenced if fence == language]


def commands() -> list[str]:
    lines = [line for block in blocks("") for line in block.splitlines()]
    return [line for line in lines if line.startswith("oreo ") and not NOT_HERE.search(line)]


def test_the_readme_opens_with_two_commands_that_the_makefile_has() -> None:
    opening = blocks("")[0].split("\n")
    assert opening == ["make quickstart", "make test", ""]
    makefile = (ROOT / "Makefile").read_text()
    assert all(f"\n{line.removeprefix('make ')}:" in makefile for line in opening[:2])


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
def test_the_main_job_is_installed_without_what_only_tests_need(tmp_path: Path) -> None:
    for target, wanted in (("quickstart", "-e ."), ("test", "-e '.[test]'")):
        command = ["make", "--dry-run", target, f"VENV={tmp_path / 'venv'}"]
        shown = subprocess.run(command, cwd=ROOT, text=True, capture_output=True, check=True).stdout
        installs = [line for line in shown.splitlines() if " pip install " in line]
        assert len(installs) == 1 and installs[0].endswith(wanted)


def test_the_example_environment_is_the_file_and_short() -> None:
    code = (ROOT / "examples" / "guess.py").read_text(encoding="utf-8")
    shown = next(block for block in blocks("python") if "class Guess" in block)
    assert code.endswith(shown)
    lines = [line for line in shown.splitlines() if line.strip()]
    assert len(lines) <= 24


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader types: an empty folder but for the examples."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_readme_run_in_their_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = commands()
    assert len(shown) >= 8
    for command in shown:
        words = shlex.split(command)[1:]
        assert run_oreo(*words, *FEWER.get(words[0], [])) == 0, f"{command}: {capsys.readouterr().err[-2000:]}"


def test_the_python_of_the_readme_runs(folder: Path) -> None:
    shown = next(block for block in blocks("python") if "import gymnasium" in block)
    fewer = shown.replace("episodes=20", "episodes=4")
    assert fewer.count("episodes=4") == 2
    exec(compile(fewer, "README.md", "exec"), {})
