"""What is done about a worker that is dead, by moments too short to be hit by a signal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oreo.agents.settings import AgentConfig
from oreo.data.buffer import TrajectoryBuffer
from oreo.rollouts.crew import Crew, Events, Worker
from oreo.rollouts.links import Job, Place
from oreo.rollouts.loop import rollout
from oreo.rollouts.processes import Process
from oreo.rollouts.settings import Rollout

GUESS = f"{Path(__file__).resolve().parents[3] / 'examples' / 'guess.py'}:Guess"


def after_death(writing: TrajectoryBuffer, given: list[int], stored: list[int], tell: Any) -> tuple[Crew, Worker]:
    """What is left to do when a process is dead that wrote this, was given and had reported that."""
    job = Job(Rollout(GUESS, batch_size=1), "expert", AgentConfig(), writing.path)
    dead = Worker(Process(job, 1), writing.writer_name, given, stored)
    dead.link.kill()
    writing._own_writer().journal.close()
    events = Events(lambda player: [], tell, lambda index, error: None, lambda steps: None)
    crew = Crew(job, TrajectoryBuffer(writing.path), 1, Place(lambda: Process(job, 1), lambda links: []), events)
    crew.waiting = []
    crew.members.append(dead)
    crew.on_death(dead)
    crew.stop()
    return crew, dead


def test_an_episode_stored_and_not_reported_before_death_is_not_played_again(tmp_path: Path) -> None:
    writing = TrajectoryBuffer(tmp_path)
    rollout(GUESS, agent="expert", episodes=4, into=writing, batch_size=1)
    won: list[bool] = []
    crew, dead = after_death(writing, [3], [0, 1, 2], won.append)
    assert (dead.assigned, crew.waiting, len(won)) == ([], [], 1)


def test_an_episode_reported_and_lost_with_its_machine_is_played_again_and_told_once(tmp_path: Path) -> None:
    writing = TrajectoryBuffer(tmp_path)
    rollout(GUESS, agent="expert", episodes=2, into=writing, batch_size=1)
    won: list[bool] = []
    crew, _ = after_death(writing, [3], [0, 1, 2], won.append)
    assert (crew.waiting, won) == ([3, 2], [])


@pytest.mark.parametrize("damaged", range(4))
def test_an_episode_whose_record_is_damaged_is_played_again_and_no_other(damaged: int, tmp_path: Path) -> None:
    writing = TrajectoryBuffer(tmp_path)
    rollout(GUESS, agent="expert", episodes=4, into=writing, batch_size=1)
    (path,) = tmp_path.glob("_*.journal")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[damaged] = lines[damaged].replace(b'"seed"', b'"sead"', 1)
    path.write_bytes(b"".join(lines))
    told: list[bool] = []
    with pytest.warns(UserWarning, match="damaged"):
        crew, _ = after_death(writing, [2, 3], [0, 1], told.append)
    assert (crew.waiting, len(told)) == ([damaged], 1 if damaged in (2, 3) else 2)


def test_more_damage_than_unreported_episodes_is_played_again_too(tmp_path: Path) -> None:
    writing = TrajectoryBuffer(tmp_path)
    rollout(GUESS, agent="expert", episodes=3, into=writing, batch_size=1)
    (path,) = tmp_path.glob("_*.journal")
    first, *_ = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"0" * (len(first) - 1) + b"\n" + path.read_bytes()[len(first) :])
    told: list[bool] = []
    with pytest.warns(UserWarning, match="damaged"):
        crew, _ = after_death(writing, [1, 2, 3], [0], told.append)
    assert (crew.waiting, len(told)) == ([3, 0], 2)
