"""Benchmarks are scripts that nothing imports: they start, and the quick ones run on a few generated games."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

from oreo.buffer import TrajectoryBuffer
from oreo.trajectory import Trajectory

ROOT = Path(__file__).resolve().parent.parent
QUICK = {
    "acting.py": ["--episodes", "2", "--batch-size", "2", "--turns", "2"],
    "alfworld_engines.py": ["--games", "1", "--steps", "2", "--resets", "0"],
    "experts.py": ["--games", "3"],
    "train_step.py": ["--vocabulary", "500", "--tokens", "128", "--length", "64", "--repeats", "1"],
}


def run(script: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    done = subprocess.run([sys.executable, script, *arguments], env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda script: script.name)
def test_a_benchmark_says_what_it_does_and_runs(script: Path) -> None:
    assert f"python benchmarks/{script.name}" in run(script, "--help")
    if script.name in QUICK:
        assert "━" in run(script, *QUICK[script.name])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, and a value model with a new head: what choosing needs, though it chooses badly."""
    from oreo.models import load_policy, load_value, save_model

    folder = tmp_path_factory.mktemp("checkpoint")
    policy, tokenizer = load_policy("tiny")
    save_model(policy, tokenizer, folder / "policy")
    save_model(load_value("tiny"), tokenizer, folder / "value")
    return folder


@pytest.fixture
def choosing() -> ModuleType:
    """benchmarks/choosing.py in this process."""
    spec = importlib.util.spec_from_file_location("choosing", ROOT / "benchmarks" / "choosing.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["choosing"] = module  # where its dataclasses look for their module
    spec.loader.exec_module(module)
    return module


def choose(choosing: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["choosing.py", *map(str, arguments)])
    choosing.main()


def episodes(folder: Path) -> dict[int | None, Trajectory]:
    """The episodes of a row by their seed; none may be there twice."""
    found = list(TrajectoryBuffer(folder, create=False))
    by_seed = {each.seed: each for each in found}
    assert len(by_seed) == len(found)
    return by_seed


def test_choosing_has_a_row_and_a_result_for_every_way(checkpoint: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    into, picture = tmp_path / "run", tmp_path / "choosing.svg"
    script = ROOT / "benchmarks" / "choosing.py"
    shown = run(script, "--agent", str(checkpoint), "--episodes", "2", "--into", str(into), "--plot", str(picture))
    results = json.loads((into / "results.json").read_text())
    assert list(results["rows"]) == [
        *("greedy", "sampled", "best_of_2", "best_of_3", "best_of_5", "best_of_8"),
        *("admissible", "admissible_best_of_3", "admissible_best_of_5", "admissible_by_value"),
        *("planner_1", "planner_2", "planner_1_admissible"),
    ]
    games = {frozenset((each.game, each.task) for each in episodes(into / name).values()) for name in results["rows"]}
    assert len(games) == 1, "all play the same games"
    for name, row in results["rows"].items():
        assert f"│ {name} " in shown
        assert name.startswith("planner") == row["agent"].startswith("planner")
        assert row["episodes"] == 2 and row["low"] <= row["success"] <= row["high"] and row["episodes_per_second"] > 0
        if name != "sampled":
            against = row["against_sampled"]
            assert against["difference"] == row["success"] - results["rows"]["sampled"]["success"]
            assert against["low"] <= against["difference"] <= against["high"] and 0 < against["p"] <= 1
    assert picture.read_text().startswith("<?xml")


def test_choosing_plays_what_is_missing_and_nothing_twice(
    checkpoint: Path,
    choosing: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    settings = ("--agent", checkpoint, "--batch-size", "2", "--only", "sampled", "best_of_2")
    choose(choosing, monkeypatch, *settings, "--episodes", "2", "--into", tmp_path / "run")
    before = episodes(tmp_path / "run" / "sampled")

    class InterruptedAtTheSecond(choosing.Episodes):
        def one(self, won: bool) -> None:
            super().one(won)
            if self.done == 2:
                raise KeyboardInterrupt

    capsys.readouterr()
    with monkeypatch.context() as patched, pytest.raises(SystemExit) as stop:
        patched.setattr(choosing, "Episodes", InterruptedAtTheSecond)
        choose(choosing, patched, *settings, "--episodes", "5", "--into", tmp_path / "run")
    assert stop.value.code == 130 and "goes on from there" in capsys.readouterr().err
    interrupted = episodes(tmp_path / "run" / "sampled")
    assert len(interrupted) == 4 and len(episodes(tmp_path / "run" / "best_of_2")) == 2

    choose(choosing, monkeypatch, *settings, "--episodes", "5", "--into", tmp_path / "run")
    sampled = episodes(tmp_path / "run" / "sampled")
    assert len(sampled) == len(episodes(tmp_path / "run" / "best_of_2")) == 5
    assert before.items() <= interrupted.items() <= sampled.items()

    monkeypatch.setattr(choosing, "load_agent", None)  # nobody is asked to play any more
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    choose(choosing, monkeypatch, *settings, "--episodes", "5", "--into", tmp_path / "run")
    assert json.loads((tmp_path / "run" / "results.json").read_text()) == results
    monkeypatch.undo()

    choose(choosing, monkeypatch, *settings, "--episodes", "5", "--into", tmp_path / "at_once")
    at_once = episodes(tmp_path / "at_once" / "sampled")
    assert {seed: each.game for seed, each in at_once.items()} == {seed: each.game for seed, each in sampled.items()}


def test_choosing_refuses_a_folder_of_other_episodes(
    checkpoint: Path,
    choosing: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
) -> None:
    settings = ("--agent", checkpoint, "--episodes", "1", "--only", "greedy", "--into", tmp_path / "run")
    choose(choosing, monkeypatch, *settings)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "letter.txt").write_text("")
    for changed, reason in (
        (("--seed", "1"), "seed 0, not 1"),
        (("--temperature", "0.7"), "temperature 0.5, not 0.7"),
        (("--into", tmp_path / "other"), "holds no episodes of this benchmark"),
        (("--episodes", "0"), "expected 1 or more"),
        (("--plot", tmp_path / "choosing.gif"), ".png or .svg"),
    ):
        with pytest.raises(SystemExit) as stop:
            choose(choosing, monkeypatch, *settings, *changed)
        assert stop.value.code == 2 and reason in capsys.readouterr().err
