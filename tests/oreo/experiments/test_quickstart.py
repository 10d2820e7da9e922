"""The main job in miniature: every stage for real, on very little data, so nothing here says how well it learns."""

from __future__ import annotations

import dataclasses
import io
import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from oreo.cli import app
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import UsageError
from oreo.experiments import quickstart

TINY = quickstart.Size(
    episodes=12,
    held_out=6,
    rejection={"epochs": 1, "batch_size": 8, "lr": 1e-4},
    oreo={"epochs": 1, "value_warmup_epochs": 1, "batch_size": 8, "lr": 1e-4, "value_lr": 1e-3},
)


WORLDS = [dataclasses.replace(world, fast=TINY, max_steps=8) for world in quickstart.WORLDS.values()]


def run(output: Path, world: quickstart.World = WORLDS[0]) -> str:
    text = io.StringIO()
    quickstart.run(output, world, seed=0, fast=True, console=Console(file=text, width=100))
    return text.getvalue()


@pytest.fixture(scope="module")
def quickstarted(tmp_path_factory: pytest.TempPathFactory) -> Callable[[quickstart.World], tuple[Path, str]]:
    """Where a world's run lies, and what it printed. No test changes what is in there."""

    @cache
    def once(model: str) -> tuple[Path, str]:
        output = tmp_path_factory.mktemp(model) / "quickstart"
        return output, run(output, next(world for world in WORLDS if world.model == model))

    return lambda world: once(world.model)


@pytest.mark.parametrize(("world", "last"), list(zip(WORLDS, ["oreo_best_of_5", "oreo_beam_5"], strict=True)))
def test_one_call_collects_trains_evaluates_and_shows_an_episode_and_a_second_one_does_nothing_again(
    world, last, quickstarted
):
    output, printed = quickstarted(world)
    results = json.loads((output / "results.json").read_text())
    assert list(results["agents"]) == ["start", "rejection", "oreo", last]
    for outcome in results["agents"].values():
        assert outcome["episodes"] == 6
        assert 0 <= outcome["low"] <= outcome["success"] <= outcome["high"] <= 1
    buffer = TrajectoryBuffer(output / "buffer", create=False)
    assert len(buffer) == 12
    assert {episode.env_id for episode in buffer} == {world.env}
    assert (output / "oreo" / "value" / "model.safetensors").is_file()
    assert f"Success on {world.other_places}" in printed
    assert "V 0." in printed or "V -0." in printed, "the episode is shown with its values"
    assert printed.count("oreo watch") == printed.count("oreo replay") == printed.count("oreo eval") == 1

    shards = sorted((output / "buffer").iterdir())
    again = run(output, world)
    assert "Collecting" not in again and "Training" not in again and "Evaluating" not in again
    assert sorted((output / "buffer").iterdir()) == shards
    assert json.loads((output / "results.json").read_text())["agents"] == results["agents"]


@pytest.mark.parametrize("world", WORLDS, ids=lambda world: world.model)
def test_the_commands_it_ends_with_work(world, quickstarted):
    _, printed = quickstarted(world)
    commands = [line.split() for line in printed.splitlines() if line.startswith("  oreo ")]
    assert [words[1] for words in commands] == ["watch", "replay", "eval"]
    for words in commands:
        extra = {"eval": ["--episodes", "2", "--max-steps", "4"], "watch": ["--delay", "0"], "replay": ["--delay", "0"]}
        result = CliRunner().invoke(app, [*words[1:], *extra[words[1]]])
        assert result.exit_code == 0, result.output


def test_what_was_collected_before_an_interruption_changes_no_weights(tmp_path, quickstarted):
    whole, _ = quickstarted(WORLDS[0])
    episodes = list(TrajectoryBuffer(whole / "buffer", create=False))
    half = tmp_path / "half"
    half.mkdir()
    (half / "quickstart.json").write_bytes((whole / "quickstart.json").read_bytes())
    with TrajectoryBuffer(half / "buffer") as buffer:
        buffer.extend(episodes[9:3:-1])
    run(half)
    folders = (whole, half)
    seeds = [[episode.seed for episode in TrajectoryBuffer(folder / "buffer")] for folder in folders]
    assert sorted(seeds[0]) == sorted(seeds[1]) and seeds[0] != seeds[1]
    for model in ("rejection/policy", "oreo/policy", "oreo/value"):
        file = f"{model}/model.safetensors"
        assert (half / file).read_bytes() == (whole / file).read_bytes(), model


def test_a_launcher_of_several_processes_is_refused_before_anything_is_written(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match="oreo quickstart was started in 2 processes .*without torchrun"):
        run(tmp_path / "quickstart")
    assert not (tmp_path / "quickstart").exists()


def test_a_folder_that_holds_something_else_is_refused_and_left_alone(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        run(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_another_seed_in_the_same_folder_is_refused(tmp_path):
    (tmp_path / "quickstart.json").write_text(json.dumps({"env": "oreo/ALFWorld-v0", "seed": 7, "fast": True}))
    with pytest.raises(UsageError, match="another --output"):
        run(tmp_path)


def test_the_other_world_in_the_same_folder_is_refused(tmp_path):
    (tmp_path / "quickstart.json").write_text(json.dumps({"env": "oreo/ALFWorld-v0", "seed": 0, "fast": True}))
    with pytest.raises(UsageError, match=r"env: 'oreo/ALFWorld-v0' then, 'oreo/Math-v0' now.*another --output"):
        run(tmp_path, WORLDS[1])


def test_an_environment_without_a_model_of_its_own_is_refused_with_what_to_do_instead():
    with pytest.raises(UsageError, match="alfworld and math.*oreo collect"):
        quickstart.world_of("cooks/Soup-v0")
    assert quickstart.world_of("math") is quickstart.world_of("oreo/Math-v0") is quickstart.MATH
