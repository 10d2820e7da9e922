"""Several processes: the same episodes as one, each once, also when a process is killed in the middle."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import EngineError, UsageError
from oreo.rollouts.collect import _Crew, _Worker, collect
from oreo.rollouts.links import Job
from oreo.rollouts.loop import rollout, seeds
from oreo.rollouts.processes import _Process, _ready
from oreo.trajectory import Trajectory

GUESS = f"{Path(__file__).resolve().parents[3] / 'examples' / 'guess.py'}:Guess"
DEADLY = """
import os
from oreo.envs import TextEnv

class Deadly(TextEnv):
    def start(self, rng):
        return "start"

    def act(self, text):
        os._exit(9)

    def expert_action(self):
        return "go"
"""


def undated(trajectories: Any) -> list[Trajectory]:
    """By seed: the order of several processes is not that of one."""
    return sorted((replace(each, created="") for each in trajectories), key=lambda each: each.seed)


def alone(episodes: int, seed: int) -> list[Trajectory]:
    return undated(rollout(GUESS, agent="expert", episodes=episodes, seed=seed))


@pytest.mark.parametrize("workers", [1, 3])
def test_the_episodes_do_not_depend_on_the_number_of_processes(workers: int, tmp_path: Path) -> None:
    won: list[bool] = []
    collect(GUESS, agent="expert", episodes=50, into=tmp_path, workers=workers, seed=4, on_episode=won.append)
    buffer = TrajectoryBuffer(tmp_path)
    assert undated(buffer) == alone(50, 4)
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

    collect(GUESS, agent="expert", episodes=300, into=tmp_path, workers=2, batch_size=4, on_episode=kill_now_and_then)
    assert undated(TrajectoryBuffer(tmp_path)) == alone(300, 0)
    assert len(stored) == 300


@pytest.mark.parametrize(("agent", "settings", "episodes"), [("expert", {}, 200), ("tiny", {"max_new_tokens": 8}, 16)])
def test_one_of_four_killed_in_the_middle_loses_nothing_and_nothing_counts_twice(
    agent: str, settings: dict[str, Any], episodes: int, four: Any, tmp_path: Path
) -> None:
    into = tmp_path / "buffer"
    playing: dict[str, Any] = {"episodes": episodes, "batch_size": 3, "into": into, "workers": 4}
    collect(four.env, agent=agent, agent_settings=settings, on_episode=four.kill_one, **playing)
    assert [each.seed for each in undated(TrajectoryBuffer(into))] == sorted(seeds(0, i)[0] for i in range(episodes))
    assert len(four.stored) == episodes and TrajectoryBuffer(into).info()["journals"] == 0


def buried(writing: TrajectoryBuffer, given: list[int], stored: list[int], tell: Any) -> tuple[_Crew, _Worker]:
    """What is left to do when a process is dead that wrote this, was given and had reported that."""
    job = Job(writing.path, "expert", {}, {"env": GUESS, "seed": 0, "batch_size": 1})
    dead = _Worker(_Process(job, 1), writing.writer_name, given, stored)
    dead.link.kill()
    writing._own_writer().journal.close()
    crew = _Crew(job, TrajectoryBuffer(writing.path), range(4), 1, tell, lambda: _Process(job, 1), _ready)
    crew.waiting = []
    crew.members.append(dead)
    crew.bury(dead)
    crew.dismiss()
    return crew, dead


def test_an_episode_stored_and_not_reported_before_death_is_not_played_again(tmp_path: Path) -> None:
    """The moment between storing and reporting is too short to be hit by a signal, so the dead process is made here."""
    writing = TrajectoryBuffer(tmp_path)
    rollout(GUESS, agent="expert", episodes=4, into=writing, batch_size=1)
    won: list[bool] = []
    crew, dead = buried(writing, [3], [0, 1, 2], won.append)
    assert (dead.given, crew.waiting, len(won)) == ([], [], 1)


def test_an_episode_reported_and_lost_with_its_machine_is_played_again_and_told_once(tmp_path: Path) -> None:
    writing = TrajectoryBuffer(tmp_path)
    rollout(GUESS, agent="expert", episodes=2, into=writing, batch_size=1)
    won: list[bool] = []
    crew, _ = buried(writing, [3], [0, 1, 2], won.append)
    assert (crew.waiting, won) == ([3, 2], [])


def test_processes_that_die_again_and_again_end_it_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "deadly.py").write_text(DEADLY)
    with pytest.raises(EngineError, match="workers died one after the other, the last with exit code 9"):
        collect(f"{tmp_path / 'deadly.py'}:Deadly", agent="expert", episodes=9, into=tmp_path / "buffer", workers=2)
    assert multiprocessing.active_children() == []


def test_a_warning_in_a_process_is_given_here(tmp_path: Path) -> None:
    (tmp_path / "worried.py").write_text(
        DEADLY.replace("Deadly", "Worried").replace(
            "os._exit(9)", "__import__('warnings').warn('mind the gap'); return 'end', 1.0, True"
        )
    )
    with pytest.warns(UserWarning, match="^mind the gap$"):
        collect(f"{tmp_path / 'worried.py'}:Worried", agent="expert", episodes=4, into=tmp_path / "b", workers=2)


def test_an_error_in_a_process_is_the_callers(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown argument|unexpected keyword"):
        collect(GUESS, agent="expert", episodes=9, into=tmp_path, workers=2, env_kwargs={"colour": "red"})
    with pytest.raises(UsageError, match="noise is a probability"):
        collect(GUESS, agent="expert", agent_settings={"noise": 2.0}, episodes=9, into=tmp_path, workers=2)
    with pytest.raises(UsageError, match="expected 1 or more workers"):
        collect(GUESS, agent="expert", episodes=9, into=tmp_path, workers=0)


def test_what_was_stored_stays_when_one_stops_it(tmp_path: Path) -> None:
    def interrupt(won: bool) -> None:
        if len(TrajectoryBuffer(tmp_path)) >= 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(GUESS, agent="expert", episodes=5000, into=tmp_path, workers=2, on_episode=interrupt)
    assert multiprocessing.active_children() == []
    kept = undated(TrajectoryBuffer(tmp_path))
    assert 20 <= len(kept) < 5000
    assert len({each.seed for each in kept}) == len(kept)
