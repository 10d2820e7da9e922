"""The loop: every episode once, in order, the same in any company, and kept even when the next one fails."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.dice import CLOSED, Chatter, Dice
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import EngineError, UsageError
from oreo.rollouts.loop import rollout


def texts(played: Any) -> list[Any]:
    return [
        [(step.observation, step.action) for step in episode.steps] + [episode.final_observation] for episode in played
    ]


@pytest.mark.parametrize("batch_size", [1, 3, 50])
def test_an_episode_is_the_same_in_any_company(batch_size: int) -> None:
    alone = rollout(Dice, agent=Chatter(), episodes=20, batch_size=7, seed=5)
    assert texts(rollout(Dice, agent=Chatter(), episodes=20, batch_size=batch_size, seed=5)) == texts(alone)
    assert texts(rollout(Dice, agent=Chatter(), episodes=10, batch_size=batch_size, seed=5)) == texts(alone)[:10]
    assert texts(rollout(Dice, agent=Chatter(), episodes=20, batch_size=batch_size, seed=6)) != texts(alone)


def test_finished_episodes_make_room_for_new_ones() -> None:
    agent = Chatter()
    played = rollout(Dice, agent=agent, episodes=30, batch_size=4)
    assert len(played) == 30 and max(agent.asked) == 4
    assert set(agent.asked[:-9]) == {4}, "as long as there are episodes to begin, all places are taken"


def test_environments_are_used_again_and_closed_at_the_end() -> None:
    CLOSED.clear()
    rollout(Dice, agent=Chatter(), episodes=30, batch_size=4)
    assert len(CLOSED) == 4


def test_games_are_played_in_turn() -> None:
    played = rollout(Dice, agent=Chatter(), episodes=5, games=["x", "y"])
    assert [episode.game for episode in played] == ["x", "y", "x", "y", "x"]
    assert [episode.game for episode in rollout(Dice, agent=Chatter(), games=["x", "y", "z"])] == ["x", "y", "z"]


class Listed(Dice):
    games = ["one", "two"]


def test_an_environments_own_list_of_games_is_played_once() -> None:
    assert [episode.game for episode in rollout(Listed, agent=Chatter())] == ["one", "two"]


def test_each_episode_is_stored_when_it_ends(tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path) as buffer:
        seen: list[int] = []
        played = rollout(Dice, agent=Chatter(), episodes=8, into=buffer, on_episode=lambda _: seen.append(len(buffer)))
        assert seen == list(range(1, 9))
    assert sorted(map(repr, buffer)) == sorted(map(repr, played))
    assert all(episode in played for episode in buffer)


def test_an_environment_that_breaks_is_named_and_what_had_ended_is_kept(tmp_path: Path) -> None:
    CLOSED.clear()
    with TrajectoryBuffer(tmp_path) as buffer:
        with pytest.raises(
            EngineError,
            match=r"Dice in episode \d+ \(plain\), step \d+: Dice.act failed: Zero\w+: .*dice.py, line \d+\)$",
        ):
            rollout(Dice, agent=Chatter(), episodes=500, into=buffer, env_kwargs={"faces": 40, "breaks_on": 40})
        kept = len(buffer)
    assert kept > 0 and len(CLOSED) == 32


def test_an_interrupt_keeps_what_had_ended(tmp_path: Path) -> None:
    buffer = TrajectoryBuffer(tmp_path)

    def stop(_: object) -> None:
        if len(buffer) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rollout(Dice, agent=Chatter(), episodes=50, into=buffer, on_episode=stop)
    assert len(buffer) == 3


class Wordless(Dice):
    def start(self, rng: np.random.Generator, game: str = "") -> Any:
        self.rng, self.game = rng, game
        return 5


def test_episodes_that_a_buffer_has_already_are_said(tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path) as buffer:
        rollout(Dice, agent=Chatter(), episodes=3, into=buffer)
        with pytest.warns(UserWarning, match="3 of these 5 episodes were in .* already"):
            rollout(Dice, agent=Chatter(), episodes=5, into=buffer)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            rollout(Dice, agent=Chatter(), episodes=3, into=buffer, seed=1)
            rollout(Dice, agent=Chatter(), episodes=3, into=buffer, env_kwargs={"faces": 7})


@pytest.mark.parametrize("name", ["won", "action_valid"])
def test_what_an_environment_says_of_winning_is_true_or_false_and_no_text(name: str) -> None:
    class Says(Dice):
        def info(self) -> dict[str, Any]:
            return {name: "no"}

    with pytest.raises(EngineError, match=f"{name}"):
        rollout(Says, agent=Chatter(), episodes=1)


def test_a_wrong_observation_is_refused() -> None:
    message = (
        r"Wordless in episode 0, before its first step: Wordless.start \(.*test_loop.py, line \d+\): .*str, got int 5"
    )
    with pytest.raises(EngineError, match=message):
        rollout(Wordless, agent=Chatter(), episodes=1)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({}, "say how many episodes"),
        ({"episodes": -1}, "0 or more"),
        ({"episodes": 1, "batch_size": 0}, "batch_size"),
        ({"episodes": 1, "max_steps": 0}, "max_steps"),
        ({"episodes": 1, "games": []}, "list of games is empty"),
        ({"episodes": 1, "env_kwargs": {"faces": {1}}}, "plain JSON"),
    ],
)
def test_a_wrong_argument_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rollout(Dice, agent=Chatter(), **wrong)


def test_no_episodes_are_no_trajectories() -> None:
    assert rollout(Dice, agent=Chatter(), episodes=0) == []
