"""Benchmarks are scripts that nothing imports: they start, and the quick ones run on a few generated games."""

from __future__ import annotations

import io
import json
import multiprocessing.dummy
import os
import subprocess
import sys
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from helpers.commands import load_script, run_script
from oreo.data.buffer import TrajectoryBuffer
from oreo.training.config import TrainConfig
from oreo.trajectory import Trajectory

ROOT = Path(__file__).resolve().parent.parent
QUICK: dict[str, list[str]] = {
    "acting.py": ["--episodes", "2", "--batch-size", "2", "--turns", "2"],
    "alfworld_engines.py": ["--games", "1", "--steps", "2", "--resets", "0"],
    "buffer.py": ["--steps", "200"],
    "experts.py": ["--games", "3"],
    "grading.py": ["--plain", "200", "--latex", "3"],
    "raised.py": ["tiny", "--games", "1", "--dialects", "put", "--ways", "greedy"],
    "train_step.py": (
        "--vocabulary 500 --tokens 256 --length 64 --shortest 60 --shared 40 --repeats 1 "
        "--packed --checkpoint-activations"
    ).split(),
}


def acting_in_one_process(acting: ModuleType, patch: pytest.MonkeyPatch) -> None:
    """It starts a process an agent, so that each has its memory measured alone: a thread will do."""
    patch.setattr(acting, "multiprocessing", SimpleNamespace(get_context=lambda method: multiprocessing.dummy))


def starts_itself_in_one_process(script: ModuleType, patch: pytest.MonkeyPatch) -> None:
    """It starts itself anew for everything that it measures."""

    def run(command: list[Any], check: bool = False, **options: Any) -> subprocess.CompletedProcess[str]:
        assert command[:2] == [sys.executable, script.__file__] and options == {"stdout": -1, "text": True}
        with redirect_stdout(io.StringIO()) as printed:
            code = run_script(script, *command[2:])
        assert code == 0 or not check
        return subprocess.CompletedProcess(command, code, printed.getvalue())

    patch.setattr(script, "subprocess", SimpleNamespace(run=run, PIPE=subprocess.PIPE))


IN_ONE_PROCESS: dict[str, Callable[[ModuleType, pytest.MonkeyPatch], None]] = {
    "acting.py": acting_in_one_process,
    "buffer.py": starts_itself_in_one_process,
    "train_step.py": starts_itself_in_one_process,
}


@pytest.mark.parametrize("path", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda path: path.name)
def test_a_benchmark_says_what_it_does_and_runs(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(path.parent)
    monkeypatch.setenv("COLUMNS", "100")
    script = load_script(path)
    IN_ONE_PROCESS.get(path.name, lambda script, patch: None)(script, monkeypatch)
    assert run_script(script, "--help") == 0
    assert f"python benchmarks/{path.name}" in capsys.readouterr().out
    if path.name in QUICK:
        assert run_script(script, *QUICK[path.name]) == 0
        assert "━" in capsys.readouterr().out


def test_a_benchmark_is_a_script_that_runs_from_anywhere(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    command = [sys.executable, ROOT / "benchmarks" / "grading.py", *QUICK["grading.py"]]
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True)
    assert done.returncode == 0 and "━" in done.stdout, done.stderr[-2000:]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model, and a value model with a new head: what choosing needs, though it chooses badly."""
    from oreo.models.loading import load_policy, load_value
    from oreo.models.saving import save_model

    folder = tmp_path_factory.mktemp("checkpoint")
    policy, tokenizer = load_policy("tiny")
    save_model(policy, tokenizer, folder / "policy")
    save_model(load_value("tiny"), tokenizer, folder / "value")
    return folder


@pytest.fixture
def choosing() -> ModuleType:
    """benchmarks/choosing.py in this process, where it plays 5 steps at most: nothing here depends on how many."""
    script: Any = load_script(ROOT / "benchmarks" / "choosing.py")
    script.ALFWORLD = replace(script.ALFWORLD, max_steps=5)
    return script


def choose(choosing: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> None:
    monkeypatch.setattr(sys, "argv", ["choosing.py", *map(str, arguments)])
    choosing.main()


def episodes(folder: Path) -> dict[int | None, Trajectory]:
    """The episodes of a row by their seed; none may be there twice."""
    stored = list(TrajectoryBuffer(folder, create=False))
    by_seed = {episode.seed: episode for episode in stored}
    assert len(by_seed) == len(stored)
    return by_seed


def test_choosing_has_a_row_and_a_result_for_every_way(
    checkpoint: Path,
    choosing: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.setenv("COLUMNS", "100")
    into, picture = tmp_path / "run", tmp_path / "choosing.svg"
    choose(choosing, monkeypatch, "--agent", checkpoint, "--episodes", "2", "--into", into, "--plot", picture)
    shown = capsys.readouterr().out
    results = json.loads((into / "results.json").read_text())
    assert list(results["rows"]) == [
        *("greedy", "sampled", "best_of_2", "best_of_3", "best_of_5", "best_of_8"),
        *("admissible", "admissible_best_of_3", "admissible_best_of_5", "admissible_by_value"),
        *("planner_1", "planner_2", "planner_1_admissible"),
    ]
    games = {
        frozenset((episode.game, episode.task) for episode in episodes(into / name).values())
        for name in results["rows"]
    }
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
        def count(self, won: bool) -> None:
            super().count(won)
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
    assert {seed: episode.game for seed, episode in at_once.items()} == {
        seed: episode.game for seed, episode in sampled.items()
    }


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
        (("--seed", "1"), "seed: 0 then, 1 now"),
        (("--temperature", "0.7"), "temperature: 0.5 then, 0.7 now"),
        (("--into", tmp_path / "other"), "is not empty; give another --into"),
        (("--episodes", "0"), "expected 1 or more"),
        (("--plot", tmp_path / "choosing.gif"), ".png or .svg"),
    ):
        with pytest.raises(SystemExit) as stop:
            choose(choosing, monkeypatch, *settings, *changed)
        assert stop.value.code == 2 and reason in capsys.readouterr().err


@pytest.fixture
def learning() -> ModuleType:
    """benchmarks/learning.py in this process."""
    return load_script(ROOT / "benchmarks" / "learning.py")


def test_learning_goes_on_after_an_interruption_and_does_nothing_twice(
    learning: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    into = tmp_path / "run"
    arguments = ("--seeds", "1", "--episodes", "8", "--games", "4", "--only", "rejection", "oreo", "--into", into)

    class InterruptedAtTheFirst(learning.Updates):
        def __call__(self, line: dict[str, Any]) -> None:
            raise KeyboardInterrupt

    def learn(patched: pytest.MonkeyPatch) -> None:
        patched.setattr(sys, "argv", ["learning.py", *map(str, arguments)])
        learning.main()

    with monkeypatch.context() as patched, pytest.raises(SystemExit) as stop:
        patched.setattr(learning, "Updates", InterruptedAtTheFirst)
        learn(patched)
    assert stop.value.code == 130 and "goes on from there" in capsys.readouterr().err

    learn(monkeypatch)
    log = (into / "seed0" / "models" / "rejection" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2], "from the checkpoint"
    data = [episode for sample in range(4) for episode in episodes(into / f"seed0/data/sample{sample}").values()]
    assert len(data) == 8 and len({episode.game for episode in data}) == 2
    results = json.loads((into / "results.json").read_text())
    assert [(row["recipe"], row["decoding"]) for row in results["test"]] == [
        *(("rejection", "greedy"), ("rejection", "sampled")),
        *(("oreo", "greedy"), ("oreo", "sampled"), ("oreo", "best_of_5")),
    ]
    games = set()
    for row in results["test"]:
        played = episodes(into / "seed0" / "test" / f"{row['recipe']}_{row['decoding']}")
        games.add(frozenset(episode.game for episode in played.values()))
        assert row["success"] == row["by_seed"]["0"] == sum(episode.won for episode in played.values()) / 4
        assert row["low"] <= row["success"] <= row["high"]
        assert ("against" in row) == (row["recipe"] == "oreo")
    assert len(games) == 1 and not next(iter(games)) & {episode.game for episode in data}
    assert len(results["expected"]) == 4 and results["training"]["oreo"]["0"]["value_warmup_epochs"] == 1
    assert results["value"]["oreo"]["0"]["states"][0] == 4
    shown = capsys.readouterr().out
    assert "The paper's order" in shown and "│ oreo best_of_5 above oreo greedy " in shown

    monkeypatch.setattr(learning, "load_agent", None)  # nobody is asked to play any more
    learn(monkeypatch)
    assert json.loads((into / "results.json").read_text()) == results
    assert len((into / "seed0" / "models" / "rejection" / "log.jsonl").read_text().splitlines()) == 2

    monkeypatch.setattr(sys, "argv", ["learning.py", "--episodes", "12", "--into", str(into)])
    with pytest.raises(SystemExit) as stop:
        learning.main()
    assert stop.value.code == 2 and "episodes: 8 then, 12 now" in capsys.readouterr().err


def test_learning_compares_only_over_seeds_that_both_have(learning: ModuleType) -> None:
    def played(*wins: bool) -> list[Trajectory]:
        return [Trajectory("e", (), "", True, False, won, game=f"g{index}") for index, won in enumerate(wins)]

    first = {0: played(False, False, True), 1: played(True, True, True)}
    second = {0: played(True, False, True), 2: played(False, False, False)}
    compared = learning.compare(first, second)
    assert compared["seeds"] == 1 and compared["difference"] == pytest.approx(1 / 3) and compared["p"] == 1


@pytest.mark.parametrize(("name", "world"), [("learning", "alfworld"), ("math_learning", "maths")])
def test_every_recipe_is_compared_with_one_there_is_and_differs_from_it(
    name: str, world: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    plan = getattr(load_script(ROOT / "benchmarks" / f"{name}.py"), world)(
        into=Path("none"), seeds=1, episodes=4, games=1
    )
    for sweep in plan.sweeps.values():
        for recipe in sweep:
            parent = plan.main[recipe.against]
            assert (recipe.settings, recipe.share) != (parent.settings, parent.share)
    every = [*plan.main.values(), *(recipe for sweep in plan.sweeps.values() for recipe in sweep)]
    assert all(plan.recipes[recipe.name] == recipe for recipe in every), "no name for two"
    for recipe in plan.recipes.values():
        if recipe.settings:
            TrainConfig.of(**recipe.settings)


def test_learning_refuses_what_it_cannot_do(
    learning: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "letter.txt").write_text("")
    for arguments, reason in (
        (("--games", "0"), "expected 1 or more"),
        (("--seeds", "2", "--only-seeds", "2"), "below --seeds 2"),
        (("--sweep", "beta", "--only", "kto"), "none of these is in --sweep beta"),
        (("--into", str(tmp_path)), "is not empty; give another --into"),
    ):
        monkeypatch.setattr(sys, "argv", ["learning.py", *arguments])
        with pytest.raises(SystemExit) as stop:
            learning.main()
        assert stop.value.code == 2 and reason in capsys.readouterr().err


def test_searches_are_compared_at_the_cost_of_beam_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    module = load_script(ROOT / "benchmarks" / "math_learning.py")
    into = tmp_path / "run"
    amounts = ("--seeds", "1", "--episodes", "24", "--games", "6", "--only", "oreo")
    arguments = [*amounts, "--widths", "1", "2", "--searched", "4", "--into", str(into)]

    def learn(*more: str) -> str:
        monkeypatch.setattr(sys, "argv", ["math_learning.py", *arguments, *more])
        module.main()
        return capsys.readouterr().out

    shown = learn()
    assert "OREO searching for a solution of 4 held-out problems" in shown
    results = json.loads((into / "searches.json").read_text())
    assert [(row["search"], row["as_beam"]) for row in results["rows"]] == [
        (kind, width) for width in (1, 2) for kind in ("beam", "best", "vote")
    ]
    beams = {row["as_beam"]: row for row in results["rows"] if row["search"] == "beam"}
    one = json.loads((into / "seed0/searches/oreo_vote_as_beam_1/cost.json").read_text())
    assert one["samples"] == 1 and one["problems"] == 4
    problems = set()
    for row in results["rows"]:
        folder = "seed0/searches/oreo_" + row["search"] + ("" if row["search"] == "beam" else "_as_beam")
        played = episodes(into / f"{folder}_{row['as_beam']}" / "episodes")
        problems.add(frozenset(episode.game for episode in played.values()))
        assert row["success"] == sum(episode.won for episode in played.values()) / 4
        beam = beams[row["as_beam"]]
        wanted = beam["as_beam"] if row is beam else max(1, round(4 * beam["tokens"] / one["tokens"]))
        assert row["samples"] == {"0": wanted}
        assert row["tokens"] > 0 and ("beam_against_it" in row) == (row is not beam)
    assert len(problems) == 1 and len(next(iter(problems))) == 4
    assert beams[2]["tokens"] > beams[1]["tokens"]

    monkeypatch.setattr(module, "load_agent", None)  # nobody is asked to play any more
    pytest.importorskip("matplotlib")
    learn("--plot", str(tmp_path / "searches.svg"))
    assert json.loads((into / "searches.json").read_text()) == results
    assert (tmp_path / "searches.svg").stat().st_size > 1000
    with pytest.raises(SystemExit) as stop:
        learn("--searched", "7")
    assert stop.value.code == 2 and "from 1 to the 6 of --games" in capsys.readouterr().err


def test_the_readmes_commands_are_taken_from_the_readme_and_compared_with_their_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = load_script(ROOT / "benchmarks" / "readme_commands.py")
    shown = script.readme_command
    assert shown("collect")[0] == "collect" and "--method" in shown("train")
    fewer = {"collect": ["--episodes", "4"], "train": ["--epochs", "1"]}
    monkeypatch.setattr(script, "readme_command", lambda verb: [*shown(verb), *fewer[verb]])
    monkeypatch.chdir(tmp_path)
    assert run_script(script, "--episodes", "3", "--into", tmp_path / "runs") == 0
    rows = json.loads((tmp_path / "runs" / "results.json").read_text())["rows"]
    assert list(rows) == ["start", "trained", "trained, best of 5"] and rows["start"]["above_start"][0] == 0
    assert all(name in capsys.readouterr().out for name in ["trained, best of 5"])


class Played:
    """An episode of so many steps."""

    def __init__(self, steps: int, won: bool) -> None:
        self.steps, self.won = steps, won

    def __len__(self) -> int:
        return self.steps


def test_raised_counts_40_steps_in_the_episodes_of_50() -> None:
    raised = load_script(ROOT / "benchmarks" / "raised.py")
    played = [Played(40, True), Played(41, True), Played(50, False), Played(50, False)]
    assert [raised.success(played, steps, interval=False) for steps in (40, 50)] == ["25", "50"]
    assert raised.success(played, 50) == "50 (15–85)"
    assert raised.success([], 50) == "–"
