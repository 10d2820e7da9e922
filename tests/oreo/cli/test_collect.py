"""`oreo collect` again: refused where the episodes are there, and with --resume to the end of an undisturbed run."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from oreo.cli import main
from oreo.data.buffer import TrajectoryBuffer
from oreo.trajectory import Trajectory

ROOT = Path(__file__).resolve().parents[3]
GUESS = f"{ROOT / 'examples' / 'guess.py'}:Guess"
SLOW = """
import time
from oreo.envs import TextEnv

class Slow(TextEnv):
    max_steps = 3

    def start(self, rng):
        self.ends = int(rng.integers(1, 4))
        return "start"

    def act(self, text):
        time.sleep(0.03)
        self.ends -= 1
        return "on", float(not self.ends), not self.ends

    def info(self):
        return {"admissible_commands": ["a", "b", "c"]}
"""
UNLUCKY = """
import os
from oreo.envs import TextEnv

class Unlucky(TextEnv):
    max_steps = 4

    def start(self, rng):
        self.bad = rng.integers(4) == 0
        return "start"

    def act(self, text):
        print("printed")
        os.write(1, b"written\\n")
        if self.bad and not os.path.exists("mended"):
            raise KeyError("unlucky")
        return "end", 1.0, True

    def expert_action(self):
        return "go"
"""
Oreo = Callable[..., tuple[int, str, str]]


@pytest.fixture
def oreo(capfd, monkeypatch, tmp_path) -> Oreo:
    """Run `oreo …` in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "slow.py").write_text(SLOW)
    (tmp_path / "unlucky.py").write_text(UNLUCKY)

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        printed = capfd.readouterr()
        return int(exit_.value.code or 0), printed.out, printed.err

    return run


def stored(folder: str | Path) -> list[Trajectory]:
    """What is in a buffer, whatever the order in which it came and the time."""
    episodes = [dataclasses.replace(episode, created="") for episode in TrajectoryBuffer(folder, create=False)]
    return sorted(episodes, key=lambda episode: (episode.seed, repr(episode.steps)))


PLAYING = ["collect", "--env", GUESS, "--agent", "random", "--max-steps", 5, "--json"]


def test_the_same_episodes_are_not_stored_twice(oreo: Oreo) -> None:
    assert oreo(*PLAYING, "--episodes", 20, "--into", "b")[0] == 0
    before = stored("b")
    code, out, error = oreo(*PLAYING, "--episodes", 20, "--into", "b")
    assert (code, out) == (2, "") and error.count("\n") == 1
    assert "b has 20 of these 20 episodes already, by random with seed 0" in error
    assert "--resume" in error and "--seed" in error
    assert oreo(*PLAYING, "--episodes", 30, "--into", "b", "--workers", 2)[0] == 2
    assert stored("b") == before


@pytest.mark.parametrize("workers", [1, 2])
def test_resume_plays_what_is_missing_and_then_nothing(oreo: Oreo, workers: int) -> None:
    more = ["--per-game", 2, "--into", "b", "--workers", workers]
    assert oreo(*PLAYING, "--episodes", 7, *more)[0] == 0
    code, out, _ = oreo(*PLAYING, "--episodes", 20, *more, "--resume")
    assert (code, json.loads(out)["collected"], json.loads(out)["episodes"]) == (0, 13, 20)
    assert oreo(*PLAYING, "--episodes", 20, "--per-game", 2, "--into", "whole")[0] == 0
    assert stored("b") == stored("whole")
    code, out, _ = oreo(*PLAYING, "--episodes", 20, *more, "--resume")
    assert (code, json.loads(out)["collected"], json.loads(out)["agent"]) == (0, 0, "random")
    assert stored("b") == stored("whole")


@pytest.mark.parametrize(
    ("other", "what"),
    [
        (["--agent", "expert"], "another agent"),
        (["--agent", "expert", "--noise", 0.5], "another setting of an agent"),
        (["--seed", 1], "other games"),
        (["--max-steps", 6], "another limit"),
        (["--env", "slow.py:Slow"], "another environment"),
    ],
)
def test_other_episodes_of_the_same_seeds_go_into_the_same_buffer(oreo: Oreo, other: list[Any], what: str) -> None:
    playing = [*PLAYING, "--episodes", 6, "--into", "b"]
    assert oreo(*playing)[0] == 0
    assert oreo(*playing, *other)[0] == 0, what
    assert len(stored("b")) == 12
    assert oreo(*playing, *other)[0] == 2
    assert oreo(*playing, "--resume")[0] == 0 and len(stored("b")) == 12


def test_another_spelling_of_the_same_environment_is_the_same(oreo: Oreo) -> None:
    command = ["collect", "--agent", "random", "--episodes", 3, "--into"]
    assert oreo(*command, "b", "--env", "slow.py:Slow")[0] == 0
    assert oreo(*command, "b", "--env", "./slow.py:Slow")[0] == 2
    assert oreo(*command, "c", "--env", "alfworld", "--split", "generated", "--max-steps", 2)[0] == 0
    assert oreo(*command, "c", "--env", "oreo/ALFWorld-v0", "--split", "generated", "--max-steps", 2)[0] == 2


def test_of_a_list_of_games_another_game_with_the_same_seed_is_another_episode(oreo: Oreo) -> None:
    """A part of a split is drawn, all of it is in its own order."""
    assert oreo("games", "generate", "--count", 4, "--output", "games")[0] == 0
    command = ["collect", "--agent", "random", "--split", "train", "--env-arg", 'data="games"', "--max-steps", 2]
    assert oreo(*command, "--episodes", 3, "--into", "b")[0] == 0
    oreo(*command, "--episodes", 4, "--into", "b", "--resume")
    assert oreo(*command, "--episodes", 4, "--into", "whole")[0] == 0
    assert set(map(repr, stored("whole"))) <= set(map(repr, stored("b")))


@pytest.mark.parametrize(("workers", "stop"), [(1, signal.SIGINT), (2, signal.SIGINT), (2, signal.SIGTERM)])
def test_stopped_and_resumed_it_ends_as_if_left_alone(oreo: Oreo, tmp_path, workers: int, stop: signal.Signals) -> None:
    command = ["collect", "--env", "slow.py:Slow", "--agent", "random", "--episodes", "40", "--per-game", "2"]
    command += ["--batch-size", "3", "--into", "b"]
    process = subprocess.Popen(
        [sys.executable, "-m", "oreo", *command, "--workers", str(workers)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline and process.poll() is None:
        if (tmp_path / "b" / "_buffer.json").exists() and len(TrajectoryBuffer(tmp_path / "b")) >= 5:
            break
        time.sleep(0.02)
    os.killpg(process.pid, stop)
    out, error = process.communicate(timeout=300)
    assert (process.returncode, out) == (130, ""), error
    kept = len(stored("b"))
    assert 5 <= kept < 40
    assert error == f"oreo: stopped; {kept} episodes are kept in b; the same command with --resume goes on\n"
    assert "Traceback" not in error
    assert oreo(*command)[0] == 2, "without --resume it is refused"
    assert oreo(*command, "--resume", "--json")[0] == 0
    assert oreo(*command, "--into", "whole")[0] == 0
    assert stored("b") == stored("whole") and len(stored("b")) == 40


@pytest.mark.parametrize("workers", [1, 2])
def test_the_summary_names_the_agent_alike_with_and_without_workers(oreo: Oreo, workers: int) -> None:
    command = ["collect", "--env", GUESS, "--agent", "expert", "--noise", 0.3, "--episodes", 4, "--json"]
    code, out, _ = oreo(*command, "--workers", workers, "--into", "b")
    assert code == 0 and json.loads(out)["agent"] == "expert(noise=0.3)" == stored("b")[0].agent


@pytest.mark.parametrize("workers", [1, 2])
def test_an_environments_error_costs_its_episode_which_is_said_and_counted(oreo: Oreo, tmp_path, workers) -> None:
    command = ["collect", "--env", "unlucky.py:Unlucky", "--agent", "expert", "--episodes", 24, "--per-game", 2]
    command += ["--into", "b", "--json"]
    code, out, error = oreo(*command, "--workers", workers)
    result = json.loads(out)
    assert code == 0 and 0 < result["failed"] < 12, "what the environment prints does not spoil the JSON"
    assert result["collected"] == result["episodes"] == 24 - 2 * result["failed"], "nor is a later sample played"
    assert "Unlucky in episode " in error and ", step 1: Unlucky.act failed: KeyError: 'unlucky' (" in error
    assert "unlucky.py, line 16)" in error
    (tmp_path / "mended").touch()
    code, out, _ = oreo(*command, "--resume")
    assert (code, json.loads(out)["failed"], json.loads(out)["collected"]) == (0, 0, 2 * result["failed"])
    assert oreo(*command, "--into", "whole")[0] == 0 and stored("b") == stored("whole")


def test_where_every_episode_fails_it_ends_with_the_error(oreo: Oreo, tmp_path) -> None:
    (tmp_path / "unlucky.py").write_text(UNLUCKY.replace("rng.integers(4) == 0", "True"))
    command = ["collect", "--env", "unlucky.py:Unlucky", "--agent", "expert", "--into", "b"]
    code, out, error = oreo(*command, "--episodes", 8)
    assert (code, out) == (1, "")
    assert "no episode ended without an error, the last so: " in error.splitlines()[-1]
    code, out, error = oreo(*command, "--episodes", 10_000, "--batch-size", 4)
    assert (code, out) == (1, "")
    assert "19 episodes failed one after the other" in error.splitlines()[-1]


def test_an_evaluation_keeps_its_episodes_once(oreo: Oreo) -> None:
    command = ["eval", "--env", GUESS, "--agent", "random", "--episodes", 5, "--into", "b"]
    assert oreo(*command)[0] == 0
    code, out, error = oreo(*command)
    assert (code, out) == (2, "") and error.count("\n") == 1
    assert "b has 5 of these 5 episodes already" in error and len(stored("b")) == 5
    assert oreo(*command, "--seed", 1)[0] == 0 and len(stored("b")) == 10


def test_an_evaluation_stops_at_an_error_and_counts_those_it_is_told_to_skip(oreo: Oreo) -> None:
    command = ["eval", "--env", "unlucky.py:Unlucky", "--agent", "expert", "--episodes", 20]
    code, out, error = oreo(*command, "--json")
    assert (code, out) == (1, "")
    assert "KeyError: 'unlucky' (" in error and "unlucky.py, line 16); with --on-error skip" in error.splitlines()[-1]
    code, out, _ = oreo(*command, "--json", "--on-error", "skip")
    result = json.loads(out)
    assert code == 0 and 0 < result["errors"] < 20
    assert result["episodes"] == result["won"] == 20 - result["errors"], "an error is neither won nor lost"
    code, out, _ = oreo(*command, "--on-error", "skip")
    assert f"{result['errors']} more episodes ended in an error of the environment" in out
