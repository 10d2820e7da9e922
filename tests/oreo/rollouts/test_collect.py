"""Several processes: the same episodes as one, each once, also when a process is killed in the middle."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from helpers.commands import importing_once
from helpers.gathering import Gathered
from oreo.agents.settings import AgentConfig
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import EngineError, OreoError, UsageError
from oreo.rollouts import processes
from oreo.rollouts.callbacks import Callbacks
from oreo.rollouts.collect import collect
from oreo.rollouts.links import Player
from oreo.rollouts.loop import rollout
from oreo.rollouts.settings import Rollout, seeds
from oreo.trajectory import Trajectory

GUESS = f"{Path(__file__).resolve().parents[3] / 'examples' / 'guess.py'}:Guess"
DEADLY = """
import os
from oreo.envs import TextEnv

class Deadly(TextEnv):
    def start(self, rng):
        return "start"

    def act(self, text):
        os.kill(os.getpid(), 9)  # as a library's own code may

    def expert_action(self):
        return "go"
"""


def undated(trajectories: Any) -> list[Trajectory]:
    """By seed: the order of several processes is not that of one."""
    return sorted((replace(episode, created="") for episode in trajectories), key=lambda episode: episode.seed)


def alone(episodes: int, seed: int) -> list[Trajectory]:
    return undated(rollout(GUESS, agent="expert", episodes=episodes, seed=seed))


def first(episodes: int) -> list[tuple[int, range]]:
    return [(0, range(episodes))]


@pytest.mark.parametrize("workers", [1, 3])
def test_the_episodes_do_not_depend_on_the_number_of_processes(workers: int, tmp_path: Path) -> None:
    won: list[bool] = []
    playing: dict[str, Any] = {"agent": "expert", "into": tmp_path, "callbacks": Callbacks(won.append)}
    player = collect(first(50), Rollout(GUESS, seed=4), workers=workers, **playing)
    buffer = TrajectoryBuffer(tmp_path)
    assert undated(buffer) == alone(50, 4)
    assert player == Player("expert", "")
    assert len(won) == 50 and sum(won) == buffer.info()["won"]
    assert buffer.info()["journals"] == 0 and 1 <= buffer.info()["shards"] <= workers


def test_killed_processes_cost_nothing_and_nothing_is_stored_twice(tmp_path: Path) -> None:
    stored: list[bool] = []

    def kill_now_and_then(won: bool) -> None:
        stored.append(won)
        if len(stored) in (5, 90, 170):
            pid = multiprocessing.active_children()[0].pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)

    rollout = Rollout(GUESS, batch_size=4)
    collect(first(300), rollout, agent="expert", into=tmp_path, workers=2, callbacks=Callbacks(kill_now_and_then))
    assert undated(TrajectoryBuffer(tmp_path)) == alone(300, 0)
    assert len(stored) == 300


@pytest.fixture
def forked_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Workers are forked from one process that has imported what loads a model, which takes each of them five seconds.
    Those of the experts are started as they are outside of tests."""
    context = importing_once()
    monkeypatch.setattr(processes, "multiprocessing", SimpleNamespace(get_context=lambda method: context))


@pytest.mark.parametrize(
    ("agent", "settings", "workers", "episodes"), [("expert", {}, 4, 200), ("tiny", {"max_new_tokens": 8}, 2, 16)]
)
def test_one_killed_in_the_middle_loses_nothing_and_nothing_counts_twice(
    agent: str, settings: dict[str, Any], workers: int, episodes: int, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    if agent == "tiny":
        request.getfixturevalue("forked_workers")
    gathered = Gathered(tmp_path, workers)
    into = tmp_path / "buffer"
    playing: dict[str, Any] = {
        "agent": agent,
        "agent_config": AgentConfig(**settings),
        "into": into,
        "workers": workers,
    }
    rollout = Rollout(gathered.env, batch_size=3)
    collect(first(episodes), rollout, callbacks=Callbacks(gathered.kill_one), **playing)
    assert [episode.seed for episode in undated(TrajectoryBuffer(into))] == sorted(
        seeds(0, i)[0] for i in range(episodes)
    )
    assert len(gathered.stored) == episodes and TrajectoryBuffer(into).info()["journals"] == 0


def test_processes_that_die_again_and_again_end_it_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    rollout = Rollout(f"{tmp_path / 'deadly.py'}:Deadly")
    told = r"workers died one after the other in .*deadly.py:Deadly, the last with exit code -9, playing episodes \d"
    with pytest.raises(EngineError, match=told):
        collect(first(9), rollout, agent="expert", into=tmp_path / "buffer", workers=2)
    assert multiprocessing.active_children() == []


def test_a_warning_in_a_process_is_given_here(tmp_path: Path) -> None:
    (tmp_path / "worried.py").write_text(
        DEADLY.replace("Deadly", "Worried").replace(
            "os.kill(os.getpid(), 9)", "__import__('warnings').warn('mind the gap'); return 'end', 1.0, True"
        )
    )
    with pytest.warns(UserWarning, match="^mind the gap$"):
        rollout = Rollout(f"{tmp_path / 'worried.py'}:Worried")
        collect(first(4), rollout, agent="expert", into=tmp_path / "b", workers=2)


def test_an_error_in_a_process_is_the_callers(tmp_path: Path) -> None:
    playing: dict[str, Any] = {"agent": "expert", "into": tmp_path}
    with pytest.raises(UsageError, match="takes no argument 'colour'"):
        collect(first(9), Rollout(GUESS, {"colour": "red"}), workers=2, **playing)
    with pytest.raises(UsageError, match="max_new_tokens"):
        collect(first(9), Rollout(GUESS), workers=2, agent_config=AgentConfig(max_new_tokens=4), **playing)
    with pytest.raises(UsageError, match="expected 1 or more"):
        collect(first(9), Rollout(GUESS), workers=0, **playing)


def test_what_was_stored_stays_when_one_stops_it(tmp_path: Path) -> None:
    def interrupt(won: bool) -> None:
        if len(TrajectoryBuffer(tmp_path)) >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(first(5000), Rollout(GUESS), agent="expert", into=tmp_path, workers=2, callbacks=Callbacks(interrupt))
    assert multiprocessing.active_children() == []
    kept = undated(TrajectoryBuffer(tmp_path))
    assert 20 <= len(kept) < 5000
    assert len({episode.seed for episode in kept}) == len(kept)


def test_where_nothing_is_missing_no_agent_is_loaded(tmp_path: Path) -> None:
    for workers in (1, 2):
        assert collect([], Rollout(GUESS), agent="no such agent", into=tmp_path, workers=workers) is None


BREAKING = """
from oreo.envs import TextEnv

class Breaking(TextEnv):
    max_steps = 4

    def start(self, rng):
        self.bad = rng.integers(4) == 0
        return "start"

    def act(self, text):
        if self.bad:
            raise KeyError("unlucky")
        return "end", 1.0, True
"""


@pytest.mark.parametrize("workers", [1, 2])
def test_an_environments_error_costs_its_episode_and_the_later_samples_of_its_game(workers, tmp_path: Path) -> None:
    """So the samples of a game that are stored are its first ones, which is what `resumable.missing` counts on."""
    file = tmp_path / "breaking.py"
    file.write_text(BREAKING)
    errors: list[OreoError] = []
    stored: list[bool] = []
    passes = [(sample, range(20)) for sample in range(3)]
    playing: dict[str, Any] = {"agent": "random", "into": tmp_path / "b", "workers": workers}
    collect(
        passes, Rollout(f"{file}:Breaking"), callbacks=Callbacks(stored.append, on_failure=errors.append), **playing
    )
    broken = {i for i in range(20) if np.random.default_rng(seeds(0, i)[0]).integers(4) == 0}
    assert 0 < len(broken) < 20 and len(errors) == len(broken) and len(stored) == 3 * (20 - len(broken))
    assert Counter(episode.seed for episode in TrajectoryBuffer(tmp_path / "b")) == {
        seeds(0, i)[0]: 3 for i in set(range(20)) - broken
    }
    pattern = (
        r".*Breaking in episode (\d+), step 1: Breaking.act failed: KeyError: 'unlucky' \(.*breaking.py, line 13\)"
    )
    matches = [re.fullmatch(pattern, str(error)) for error in errors]
    assert {int(match[1]) for match in matches if match} == broken


@pytest.mark.parametrize("workers", [1, 2])
def test_without_somebody_to_take_it_an_environments_error_is_raised(workers, tmp_path: Path) -> None:
    (tmp_path / "breaking.py").write_text(BREAKING)
    rollout = Rollout(f"{tmp_path / 'breaking.py'}:Breaking")
    with pytest.raises(EngineError, match="KeyError: 'unlucky'"):
        collect(first(20), rollout, agent="random", into=tmp_path / "b", workers=workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_played_may_be_decided_when_it_is_known_who_plays(workers, tmp_path: Path) -> None:
    asked: list[Player] = []

    def narrow(player: Player) -> list[tuple[int, list[int]]]:
        asked.append(player)
        return [(0, [3]), (1, [2, 3])]

    passes = [(sample, range(9)) for sample in range(3)]
    playing: dict[str, Any] = {"agent": "expert", "agent_config": AgentConfig(noise=0.5), "into": tmp_path}
    collect(passes, Rollout(GUESS), workers=workers, narrow=narrow, **playing)
    assert asked == [Player("expert(noise=0.5)", "")]
    assert Counter(episode.seed for episode in TrajectoryBuffer(tmp_path)) == {seeds(0, 3)[0]: 2, seeds(0, 2)[0]: 1}


@pytest.mark.parametrize("workers", [1, 2])
def test_steps_are_told_while_no_episode_ends(workers, tmp_path: Path) -> None:
    (tmp_path / "endless.py").write_text(
        DEADLY.replace("Deadly", "Endless")
        .replace("os.kill(os.getpid(), 9)", "return 'on', 0.0, False")
        .replace("    def start", "    max_steps = None\n\n    def start")
    )
    steps: list[int] = []

    def tell(count: int) -> None:
        steps.append(count)
        if sum(steps) >= 8:
            raise KeyboardInterrupt

    rollout = Rollout(f"{tmp_path / 'endless.py'}:Endless", batch_size=4)
    with pytest.raises(KeyboardInterrupt):
        collect(
            first(4), rollout, agent="expert", into=tmp_path / "b", workers=workers, callbacks=Callbacks(on_steps=tell)
        )
    assert sum(steps) >= 8
