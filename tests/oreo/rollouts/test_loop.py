"""The loop: every episode once, in order, the same in any company, and kept even when the next one fails."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from oreo.agents.agent import Decision, Episode
from oreo.data.buffer import TrajectoryBuffer
from oreo.envs.text_env import TextEnv
from oreo.errors import EngineError, UsageError
from oreo.rollouts.loop import rollout
from oreo.trajectory import Candidate

CLOSED: list[int] = []


class Dice(TextEnv):
    """Ends when a six is thrown."""

    max_steps = 9

    def __init__(self, faces: int = 6, breaks_on: int = 0) -> None:
        super().__init__()
        self.faces, self.breaks_on = faces, breaks_on

    def start(self, rng: np.random.Generator, game: str = "plain") -> str:
        self.rng, self.game = rng, game
        return f"seed {int(rng.integers(1000))}"

    def act(self, text: str) -> tuple[str, float, bool]:
        thrown = int(self.rng.integers(1, self.faces + 1))
        if thrown == self.breaks_on:
            raise ZeroDivisionError("the die\nbroke")
        return f"{text}: {thrown}", float(thrown == 6), thrown == 6

    def info(self) -> dict[str, Any]:
        return {"game": self.game, "task_type": "dice", "action_valid": True, "admissible_commands": ["a", "b"]}

    def close(self) -> None:
        CLOSED.append(1)


class Chatter:
    """Says a random number, and notes how many it is asked for at once."""

    name, checkpoint = "chatter", "0123456789abcdef"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def act(self, episodes: Any) -> list[Decision]:
        self.asked.append(len(episodes))
        return [self._decide(episode) for episode in episodes]

    def _decide(self, episode: Episode) -> Decision:
        word = str(episode.rng.integers(100))
        candidates = (Candidate(word, -1.0, 0.5),)
        return Decision(word, turn=f"Action: {word}", log_prob=-1.0, value=0.25, candidates=candidates)


def texts(played: Any) -> list[Any]:
    return [[(step.observation, step.action) for step in each.steps] + [each.final_observation] for each in played]


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


def test_everything_known_is_written_down() -> None:
    (one,) = rollout(Dice, agent=Chatter(), episodes=1, seed=3, env_kwargs={"faces": 7}, max_steps=4)
    assert one.env_id == f"{__name__}:Dice" and one.env_kwargs == {"faces": 7, "max_steps": 4}
    assert (one.agent, one.checkpoint, one.task_type, one.game) == ("chatter", Chatter.checkpoint, "dice", "plain")
    assert {"oreo-agents", "torch", "gymnasium"} <= set(one.versions)
    assert one.created.endswith("+00:00")
    step = one.steps[0]
    assert step.turn == f"Action: {step.action}" and step.candidates and step.value == 0.25
    assert step.admissible_commands == ("a", "b") and step.action_valid is True
    env = Dice(faces=7)
    assert env.reset(seed=one.seed)[0] == step.observation


def test_terminated_and_truncated_stay_apart() -> None:
    played = rollout(Dice, agent=Chatter(), episodes=30, max_steps=4)
    for each in played:
        assert each.terminated or each.truncated
        assert each.won == each.terminated == (each.episode_return == 1.0)
        assert len(each) == 4 if not each.terminated else len(each) <= 4
    assert {each.won for each in played} == {True, False}


def test_the_limit_is_the_environments_own_unless_another_is_given() -> None:
    assert max(map(len, rollout(Dice, agent=Chatter(), episodes=20, env_kwargs={"faces": 5}))) == 9
    assert max(map(len, rollout(Dice, agent=Chatter(), episodes=20, env_kwargs={"faces": 5}, max_steps=12))) == 12


def test_games_are_played_in_turn() -> None:
    played = rollout(Dice, agent=Chatter(), episodes=5, games=["x", "y"])
    assert [each.game for each in played] == ["x", "y", "x", "y", "x"]
    assert [each.game for each in rollout(Dice, agent=Chatter(), games=["x", "y", "z"])] == ["x", "y", "z"]


class Listed(Dice):
    games = ["one", "two"]


def test_an_environments_own_list_of_games_is_played_once() -> None:
    assert [each.game for each in rollout(Listed, agent=Chatter())] == ["one", "two"]


def test_each_episode_is_stored_when_it_ends(tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path) as buffer:
        seen: list[int] = []
        played = rollout(Dice, agent=Chatter(), episodes=8, into=buffer, on_episode=lambda _: seen.append(len(buffer)))
        assert seen == list(range(1, 9))
    assert sorted(map(repr, buffer)) == sorted(map(repr, played))
    assert all(each in played for each in buffer)


def test_an_environment_that_breaks_is_named_and_what_had_ended_is_kept(tmp_path: Path) -> None:
    CLOSED.clear()
    with TrajectoryBuffer(tmp_path) as buffer:
        with pytest.raises(
            EngineError,
            match=r"Dice in episode \d+ \(plain\), step \d+: Dice.act failed: Zero\w+: .*test_loop.py, line \d+\)$",
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


def test_any_gymnasium_environment_of_text_will_do() -> None:
    class Plain(gym.Env[str, str]):
        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
            return "hello", {}

        def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
            return "bye", 1.0, True, False, {}

    (one,) = rollout(Plain, agent=Chatter(), episodes=1)
    assert one.won and one.steps[0].action_valid is None and one.steps[0].admissible_commands is None
