"""What README and docs/ show is run: their examples are the examples, commands and Python work (on fewer episodes)."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import textwrap
from pathlib import Path

import pytest

from helpers.commands import run_oreo

ROOT = Path(__file__).resolve().parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
EXAMPLES = {"class Guess": "guess.py", "class Greedy": "greedy_agent.py", "def weighted": "weighted_imitation.py"}
FEWER = {
    "collect": ["--episodes", "4"],
    "eval": ["--episodes", "2"],
    "train": ["--epochs", "1"],
    "watch": ["--delay", "0"],
    "replay": ["--episode", "0", "--delay", "0"],
    "diagnose": ["--episodes", "3", "--siblings", "3", "--continuations", "2", "--max-steps", "8"],
    "iterate": ["--episodes", "3", "--held-out", "2", "--rounds", "1"],
}
# Needs a download, or minutes; `oreo quickstart --fast` has its own test.
NOT_HERE = re.compile(r"oreo quickstart|valid_seen|games info|games pack|served:|vllm:|gsm8k:|/eto|/llm|Qwen/|…")


def blocks(page: Path, language: str) -> list[str]:
    """All fences in order, whatever their language: the end of one must not pass for the beginning of another."""
    text = page.read_text(encoding="utf-8")
    fenced = re.findall(r"^( *)```(\w*)\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(body) for _, fence, body in fenced if fence == language]


def commands(page: Path) -> list[str]:
    lines = [line for block in blocks(page, "") for line in block.splitlines()]
    return [line for line in lines if line.startswith("oreo ") and not NOT_HERE.search(line)]


def oreo(command: str, *more: str) -> int:
    words = shlex.split(command)[1:]
    return run_oreo(*words, *more)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader has who followed the README: a buffer, a trained model, a quickstart."""
    folder = tmp_path_factory.mktemp("reader")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert oreo("oreo collect --agent tiny --episodes 4 --max-steps 20 --into runs/kitchen") == 0
        model = "checkpoints/kitchen"
        assert oreo(f"oreo train runs/kitchen --model tiny --epochs 1 --batch-size 4 --output {model}") == 0
    shutil.copytree(folder / "checkpoints" / "kitchen", folder / "runs" / "quickstart" / "oreo")
    return folder


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the reader types: an empty folder but for the examples."""
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_all(shown: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    for command in shown:
        more = FEWER.get(shlex.split(command)[1], [])
        if "--branch" in command:  # some of them are to be won where others are lost
            more = ["--episodes", "40"]
        assert oreo(command, *more) == 0, f"{command}: {capsys.readouterr().err[-2000:]}"


def test_the_commands_of_the_readme_run_in_their_order(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown = commands(ROOT / "README.md")
    assert len(shown) >= 5
    python = next(block for block in blocks(ROOT / "README.md", "python") if "import gymnasium" in block)
    fewer = python.replace("episodes=20", "episodes=4")
    assert fewer.count("episodes=4") == 2
    exec(compile(fewer, "README.md", "exec"), {})
    run_all(shown, capsys)


@pytest.mark.parametrize("page", [page for page in PAGES[1:] if commands(page)], ids=lambda page: page.stem)
def test_the_commands_of_a_page_run_in_their_order(
    page: Path, folder: Path, played: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for part in ("runs", "checkpoints"):
        shutil.copytree(played / part, folder / part)
    if page.stem in ("stored_trajectories",):  # which makes that buffer itself
        shutil.rmtree(folder / "runs" / "kitchen")
    run_all(commands(page), capsys)
    for block in blocks(page, "python"):
        if block.startswith("import oreo\n"):
            exec(compile(block, page.name, "exec"), {})


def test_the_readme_opens_with_two_commands_that_the_makefile_has() -> None:
    opening = blocks(ROOT / "README.md", "")[0].split("\n")
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


@pytest.mark.parametrize(("mark", "file"), EXAMPLES.items())
def test_an_example_that_is_shown_is_the_file_and_short(mark: str, file: str) -> None:
    code = (ROOT / "examples" / file).read_text(encoding="utf-8")
    shown = next(block for page in PAGES for block in blocks(page, "python") if mark in block)
    assert code.endswith(shown)
    assert len([line for line in shown.splitlines() if line.strip()]) <= 24


def test_every_page_is_named_in_the_readme_and_every_link_leads_somewhere() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert all(f"docs/{page.name}" in readme for page in PAGES[1:])
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
