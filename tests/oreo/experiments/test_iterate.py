"""Collect, train, evaluate, again: on an environment that needs no skill, so nothing here says how well it learns."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from helpers.commands import run_oreo, start_oreo
from oreo.agents.settings import AgentConfig
from oreo.data.buffer import TrajectoryBuffer
from oreo.data.selection import Episode
from oreo.errors import UsageError
from oreo.experiments.iterate import iterate
from oreo.experiments.resumable import (
    by_seed,
    episodes_per_pass,
    missing,
    play_missing,
    played,
    refuse_launcher,
    stored_seeds,
)
from oreo.rollouts.settings import Rollout, seeds

LUCK = """
import time
from oreo.envs import TextEnv

class Luck(TextEnv):
    max_steps = 3

    def start(self, rng):
        self.lucky = rng.random() < 0.5
        self.left = int(rng.integers(1, 4))  # so episodes end in another order than they begin in
        return "Wait."

    def act(self, text):
        time.sleep({seconds})
        self.left -= 1
        won = self.lucky and not self.left
        return "Wait on.", float(won), won

    def expert_action(self):
        return "wait"
"""
TRAINING = {"epochs": 1, "batch_size": 4, "lr": 1e-3, "value_lr": 1e-3}


@pytest.fixture
def luck(tmp_path: Path) -> str:
    (tmp_path / "luck.py").write_text(LUCK.format(seconds=0))
    return f"{tmp_path / 'luck.py'}:Luck"


def run(output: Path, env: str, rounds: int = 2, **more: Any) -> dict[str, Any]:
    settings: dict[str, Any] = {"episodes": 5, "held_out": 4, "agent_settings": {"max_new_tokens": 4}} | more
    return iterate(output, rounds=rounds, env=env, **{"training": TRAINING} | settings)


def files(output: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in output.rglob("*") if path.is_file()}


def config(output: Path, number: int) -> dict[str, Any]:
    return json.loads((output / f"round-{number}" / "oreo" / "config.json").read_text())


def stored(folder: Path) -> list[int | None]:
    return sorted(episode.seed for episode in TrajectoryBuffer(folder, create=False))


def weights(output: Path) -> dict[str, bytes]:
    """Every trained model of a folder, by its place in there."""
    contents = {
        str(path.relative_to(output)): path.read_bytes() for path in output.glob("round-*/*/*/model.safetensors")
    }
    assert contents
    return contents


def test_each_round_plays_with_the_policy_before_it_learns_from_all_rounds_and_is_evaluated(tmp_path, luck) -> None:
    output = tmp_path / "rounds"
    results = run(output, luck)
    assert json.loads((output / "results.json").read_text()) == results
    assert [row["round"] for row in results["rounds"]] == [0, 1, 2]
    for row in results["rounds"]:
        assert row["episodes"] == 4 and 0 <= row["low"] <= row["success"] <= row["high"] <= 1
        assert stored(output / f"round-{row['round']}" / "held_out") == sorted(seeds(0, i)[0] for i in range(4))
    assert [row["collected"]["episodes"] for row in results["rounds"][1:]] == [5, 5]
    players = [TrajectoryBuffer(output / f"round-{k}" / "buffer")[0].checkpoint for k in (1, 2)]
    assert players == [row["checkpoint"] for row in results["rounds"][:2]] and players[0] != players[1]
    assert [config(output, number)["run"]["steps"] for number in (1, 2)] == [2, 3]  # 5 and 10 episodes, in fours
    assert stored(output / "round-1" / "buffer") != stored(output / "round-2" / "buffer")


def test_a_second_call_does_nothing_again_and_more_rounds_go_on_where_it_ended(tmp_path, luck) -> None:
    output = tmp_path / "rounds"
    one = run(output, luck, rounds=1)
    before = files(output)
    assert run(output, luck, rounds=1) == one
    assert {path for path, time_ in files(output).items() if before.get(path) != time_} == {output / "results.json"}
    two = run(output, luck, rounds=2)
    assert two["rounds"][:2] == one["rounds"] and len(two["rounds"]) == 3
    assert files(output).items() > {(p, t) for p, t in before.items() if p.name != "results.json"}


@pytest.mark.parametrize("field", ["model", "seed"])
def test_what_is_an_argument_of_its_own_is_not_ignored_among_the_settings_of_training(tmp_path, luck, field) -> None:
    with pytest.raises(UsageError, match=f"^{field} is an argument of its own .*; leave it out of training$"):
        run(tmp_path / "rounds", luck, training=TRAINING | {field: 5})
    assert not (tmp_path / "rounds").exists()


@pytest.mark.parametrize("reference", ["previous", "start"])
def test_a_round_starts_from_the_round_before_or_from_the_start_as_it_is_told(tmp_path, luck, reference) -> None:
    output = tmp_path / "rounds"
    run(output, luck, reference=reference)
    first, second = config(output, 1), config(output, 2)
    assert (first["model"], first["value_model"]) == ("tiny", None)
    if reference == "start":
        assert (second["model"], second["value_model"], second["run"]["start"]) == ("tiny", None, first["run"]["start"])
    else:
        assert Path(second["model"]) == output / "round-1" / "oreo" / "policy"
        assert Path(second["value_model"]) == output / "round-1" / "oreo" / "value"
        assert second["run"]["start"] != first["run"]["start"]


@pytest.mark.parametrize("models", ["both", "value"])
def test_rounds_go_on_by_lora_with_a_value_that_begins_anew(tmp_path, luck, models) -> None:
    output = tmp_path / "rounds"
    training = TRAINING | {"lora_r": 4, "lora_models": models}
    results = run(output, luck, training=training)
    assert [row["round"] for row in results["rounds"]] == [0, 1, 2]
    assert config(output, 2)["model"] == str(output / "round-1" / "oreo" / "policy")
    first = [json.loads((output / f"round-{k}" / "oreo" / "log.jsonl").read_text().splitlines()[0]) for k in (1, 2)]
    assert [(line["kl"], line["value"]) for line in first] == [(0.0, 0.0)] * 2
    before = files(output)
    run(output, luck, training=training)
    changed = {path for path, when in files(output).items() if before.get(path) != when}
    assert changed == {output / "results.json"}


def test_batch_size_and_workers_change_no_weights(tmp_path, luck) -> None:
    settings: dict[str, Any] = {"episodes": 8, "held_out": 1}
    others: dict[str, dict[str, Any]] = {
        "together": {"batch_size": 32},
        "alone": {"batch_size": 1},
        "workers": {"batch_size": 3, "workers": 2},
    }
    for name, more in others.items():
        run(tmp_path / name, luck, rounds=1, **settings, **more)
        assert weights(tmp_path / name) == weights(tmp_path / "together"), name
    orders = [
        [episode.seed for episode in TrajectoryBuffer(tmp_path / name / "round-1" / "buffer")]
        for name in ("together", "alone")
    ]
    assert sorted(orders[0]) == sorted(orders[1]) and orders[0] != orders[1], "they did end in different orders"


def test_a_launcher_of_several_processes_is_refused_before_anything_is_written(tmp_path, luck, monkeypatch) -> None:
    for processes in ("", "1"):
        monkeypatch.setenv("WORLD_SIZE", processes)
        refuse_launcher("oreo iterate")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageError, match=r"^oreo iterate was started in 2 processes .* --workers N .*without torchrun"):
        run(tmp_path / "rounds", luck)
    assert not (tmp_path / "rounds").exists()


def test_episodes_are_in_the_order_of_their_seeds_whatever_the_order_in_the_buffer(tmp_path, luck) -> None:
    run(tmp_path / "rounds", luck, rounds=1, episodes=10, per_game=2)
    with TrajectoryBuffer(tmp_path / "rounds" / "round-1" / "buffer") as buffer:
        episodes = list(buffer)
    with TrajectoryBuffer(tmp_path / "reversed") as buffer:
        buffer.extend(reversed(episodes))
    ordered = by_seed(tmp_path / "rounds" / "round-1" / "buffer")
    assert [episode.seed for episode in ordered] == sorted(
        episode.seed for episode in episodes if episode.seed is not None
    )
    assert len({episode.seed for episode in ordered}) == 5 < len({Episode.of(episode) for episode in ordered})
    from_whole, from_reversed = (
        [Episode.of(episode) for episode in each_order] for each_order in (ordered, by_seed(tmp_path / "reversed"))
    )
    assert from_whole == from_reversed


def test_a_recipe_sets_how_episodes_are_collected_and_trained_on(tmp_path, luck) -> None:
    output = tmp_path / "rounds"
    training = {"recipe": "rejection-alfworld", "bf16": False}
    results = run(output, luck, rounds=1, episodes=20, temperature=0.7, training=training)
    settings = results["settings"]
    assert (settings["per_game"], settings["max_steps"], settings["temperature"]) == (5, 40, 0.7)
    games = Counter(episode.seed for episode in TrajectoryBuffer(output / "round-1" / "buffer"))
    assert sorted(games.values()) == [5] * 4
    trained = json.loads((output / "round-1" / "rejection" / "config.json").read_text())
    assert (trained["recipe"], trained["lr"]) == ("rejection-alfworld", 2e-5)


def test_other_settings_in_the_same_folder_are_refused_and_named(tmp_path, luck) -> None:
    output = tmp_path / "rounds"
    run(output, luck, rounds=1)
    before = files(output)
    with pytest.raises(UsageError, match=r"episodes: 5 then, 6 now; training.lr: 0.001 then, 0.1 now\)"):
        run(output, luck, rounds=1, episodes=6, training={**TRAINING, "lr": 0.1})
    with pytest.raises(UsageError, match="reference 'last' is unknown"):
        run(tmp_path / "other", luck, reference="last")
    for field in ("temperature", "eval_temperature"):
        with pytest.raises(UsageError, match="^temperature is -1; expected 0 or more$"):
            run(tmp_path / "other", luck, **{field: -1})
    with pytest.raises(UsageError, match="not empty"):
        run(output / "round-1", luck)
    assert files(output) == before and not (tmp_path / "other").exists()


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_missing_is_played_and_nothing_is_played_twice(tmp_path, luck, workers) -> None:
    def play(into: Path, lacking: Any, workers: int = 1) -> None:
        rollout = Rollout(luck, seed=3, batch_size=2)
        play_missing(
            lacking,
            rollout,
            agent="random",
            agent_config=AgentConfig(),
            into=into,
            title="",
            console=None,
            workers=workers,
        )

    everything = missing(stored_seeds(tmp_path / "whole"), 8, seed=3, per_game=3)
    assert everything == [(0, [0, 1, 2]), (1, [0, 1, 2]), (2, [0, 1])]
    play(tmp_path / "whole", everything)
    # The first pass is there, and of the second the game in the middle.
    play(tmp_path / "half", [(0, [2, 0, 1]), (1, [1])])
    lacking = missing(stored_seeds(tmp_path / "half"), 8, seed=3, per_game=3)
    assert lacking == [(1, [0, 2]), (2, [0, 1])]
    play(tmp_path / "half", lacking, workers)
    assert missing(stored_seeds(tmp_path / "half"), 8, seed=3, per_game=3) == []

    def actions(folder: Path) -> list[Any]:
        return sorted((episode.seed, [step.action for step in episode.steps]) for episode in TrajectoryBuffer(folder))

    assert actions(tmp_path / "half") == actions(tmp_path / "whole") and len(actions(tmp_path / "half")) == 8
    one = tmp_path / "one"
    play(one, [(0, [2, 1, 0])])
    assert [episode.seed for episode in played(one, 3, seed=3)] == [seeds(3, index)[0] for index in range(3)]


def test_passes_share_episodes_out_to_games() -> None:
    assert [episodes_per_pass(7, 3), episodes_per_pass(2, 5), episodes_per_pass(4, 1)] == [[3, 2, 2], [1, 1], [4]]


def test_killed_while_collecting_and_while_training_it_ends_as_if_left_alone_and_no_episode_is_there_twice(
    tmp_path, monkeypatch, capsys
) -> None:
    (tmp_path / "luck.py").write_text(LUCK.format(seconds=0.2))
    output = tmp_path / "rounds"
    command = ["iterate", "--output", "rounds", "--rounds", "1", "--episodes", "6", "--held-out", "2", "--seed", "4"]
    command += ["--env", "luck.py:Luck", "--batch-size", "2", "--agent-arg", "max_new_tokens=4", "--set", "lr=1e-3"]
    command += ["--set", "epochs=3", "--set", "batch_size=1", "--set", "save_every=1"]

    def kill_when(happened: Any) -> None:
        process, deadline = start_oreo(*command, cwd=tmp_path), time.monotonic() + 300
        while not happened() and time.monotonic() < deadline:
            assert process.is_alive()
            time.sleep(0.02)
        process.kill()
        process.join()

    def collected() -> list[int | None]:
        marker = output / "round-1" / "buffer" / "_buffer.json"
        return stored(marker.parent) if marker.is_file() else []

    def saved() -> list[Path]:
        return list((output / "round-1" / "oreo" / "checkpoint").glob("step-*"))

    kill_when(lambda: len(collected()) >= 2)
    early = collected()
    assert 2 <= len(early) < 6
    kill_when(saved)
    assert collected() == sorted(seeds(5, index)[0] for index in range(6)) and set(early) <= set(collected())
    assert not (output / "round-1" / "oreo" / "policy").exists()
    step = int(max(saved()).name.removeprefix("step-"))
    monkeypatch.chdir(tmp_path)
    capsys.readouterr()
    assert run_oreo(*command, "--json") == 0
    assert len(json.loads(capsys.readouterr().out)["rounds"]) == 2
    lines = [json.loads(line) for line in (output / "round-1" / "oreo" / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 19)) and 0 < step < 18
    assert stored(output / "round-1" / "held_out") == sorted(seeds(4, index)[0] for index in range(2))
    assert run_oreo(*command, "--output", "alone", "--batch-size", "6") == 0
    orders = [
        [episode.seed for episode in TrajectoryBuffer(folder / "round-1" / "buffer")]
        for folder in (output, tmp_path / "alone")
    ]
    assert orders[0] != orders[1]
    assert weights(output) == weights(tmp_path / "alone")


def test_ctrl_c_says_that_the_same_command_goes_on(tmp_path) -> None:
    (tmp_path / "luck.py").write_text(LUCK.format(seconds=0.2))
    words = ["iterate", "--env", "luck.py:Luck", "--output", "rounds", "--agent-arg", "max_new_tokens=4"]
    process = start_oreo(*words, cwd=tmp_path)
    deadline = time.monotonic() + 300
    while not list((tmp_path / "rounds").rglob("*.journal")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGINT)
    process.join(300)
    assert (process.exitcode, (tmp_path / "stdout").read_text()) == (130, "")
    assert (tmp_path / "stderr").read_text().splitlines()[-1] == (
        "oreo: stopped; what was finished is in rounds, and the same command goes on from there"
    )
