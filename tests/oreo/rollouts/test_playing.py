"""oreo.rollouts.playing: an episode from its reset to what is stored of it."""

from __future__ import annotations

import random
import re
import time
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

from helpers.dice import Chatter, Dice
from oreo.agents.agent import Decision
from oreo.envs.text_env import TextEnv
from oreo.errors import EngineError, OreoError, UsageError
from oreo.rollouts.loop import play_in_order, rollout
from oreo.rollouts.playing import Playing
from oreo.rollouts.settings import Rollout, seeds


class Count(TextEnv):
    """Won at the third step; "break" breaks it, and the game "none" is none of its own."""

    def start(self, rng: np.random.Generator, game: str = "one") -> str:
        if game == "none":
            raise UsageError("no game 'none'")
        self.steps, self.game = 0, game
        return f"task {int(rng.integers(1 << 20))}"

    def act(self, text: str) -> tuple[str, float, bool]:
        if text == "break":
            raise ZeroDivisionError("broken")
        self.steps += 1
        return f"{self.steps}", 0.5, self.steps == 3

    def info(self) -> dict[str, Any]:
        return {"game": self.game, "stop": (";",)}


class Nobody:
    name, checkpoint = "nobody", "0123"

    def act(self, episodes: Any) -> list[Decision]:
        return [Decision("on")] * len(episodes)


def begun(index: int = 2, *, max_steps: int | None = None, game: str = "") -> Playing:
    rollout = Rollout(Count, seed=7, max_steps=max_steps)
    return Playing.of(rollout, index, rollout.make(), game)


def test_what_was_decided_and_what_came_of_it_is_stored() -> None:
    playing = begun()
    playing.reset()
    first = playing.episode.observation
    for decision in (Decision("a", turn="hm\na", value=0.5), Decision("b;", cut=True), Decision("c")):
        assert not playing.over
        playing.step(decision)
    assert playing.over and playing.terminated and not playing.truncated
    stored = playing.trajectory(Nobody())
    assert [step.observation for step in stored.steps] == [first, "1", "2"] and stored.final_observation == "3"
    assert [step.action for step in stored.steps] == ["a", "b;", "c"]
    assert [step.turn for step in stored.steps] == ["hm\na", None, None]
    assert [step.continues_message for step in stored.steps] == [False, True, False]
    assert [step.cut for step in stored.steps] == [False, True, False]
    assert (stored.won, stored.episode_return, stored.game, stored.agent) == (True, 1.5, "one", "nobody")
    assert stored.seed == seeds(7, 2)[0] and stored.checkpoint == "0123"


def test_a_truncated_episode_is_over_and_not_won() -> None:
    playing = begun(max_steps=2)
    playing.reset()
    playing.step(Decision("a"))
    playing.step(Decision("b"))
    stored = playing.trajectory(Nobody())
    assert playing.over and stored.truncated and not stored.terminated and not stored.won


def test_an_error_of_the_environment_ends_the_episode_and_its_step_is_not_stored() -> None:
    playing = begun()
    playing.reset()
    playing.step(Decision("a"))
    playing.step(Decision("break"))
    assert playing.over and isinstance(playing.failure, EngineError)
    assert "in episode 2 (one), step 2" in str(playing.failure) and len(playing.episode.steps) == 1


def test_a_game_that_there_is_not_is_raised_at_once() -> None:
    with pytest.raises(UsageError, match="no game 'none'"):
        begun(game="none").reset()


def test_everything_known_is_written_down() -> None:
    (one,) = rollout(Dice, agent=Chatter(), episodes=1, seed=3, env_kwargs={"faces": 7}, max_steps=4)
    assert one.env_id == f"{Dice.__module__}:Dice" and one.env_kwargs == {"faces": 7, "max_steps": 4}
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
    for episode in played:
        assert episode.terminated or episode.truncated
        assert episode.won == episode.terminated == (episode.episode_return == 1.0)
        assert len(episode) == 4 if not episode.terminated else len(episode) <= 4
    assert {episode.won for episode in played} == {True, False}


def test_the_limit_is_the_environments_own_unless_another_is_given() -> None:
    assert max(map(len, rollout(Dice, agent=Chatter(), episodes=20, env_kwargs={"faces": 5}))) == 9
    assert max(map(len, rollout(Dice, agent=Chatter(), episodes=20, env_kwargs={"faces": 5}, max_steps=12))) == 12


def test_any_gymnasium_environment_of_text_will_do() -> None:
    class Plain(gym.Env[str, str]):
        def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
            return "hello", {}

        def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
            return "bye", 1.0, True, False, {}

    (one,) = rollout(Plain, agent=Chatter(), episodes=1)
    assert one.won and one.steps[0].action_valid is None and one.steps[0].admissible_commands is None


def test_an_episode_that_nothing_limits_is_said_once_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(Dice):
        max_steps = None

        def act(self, text: str) -> tuple[str, float, bool]:
            self.taken = getattr(self, "taken", 0) + 1
            return "on", 0.0, self.taken == 9

    monkeypatch.setattr("oreo.rollouts.playing._MANY_STEPS", 5)
    with pytest.warns(UserWarning, match="episode 0 of .*Endless has taken 5 steps and nothing limits them") as told:
        rollout(Endless, agent=Chatter(), episodes=1)
    assert len(told) == 1


class Misbehaves(TextEnv):
    """What it does wrong is its argument."""

    max_steps = 3

    def __init__(self, fault: str, render_mode: str | None = None) -> None:
        self.fault = fault

    def start(self, rng: np.random.Generator) -> str:
        if self.fault == "seeds":
            random.seed(0)
        return "begin"

    def act(self, text: str) -> tuple[str, float, bool]:
        if self.fault == "hangs":
            time.sleep(30)
        if self.fault == "restarts":
            self.start(self.np_random)
        return "on", 0.0, False


@pytest.mark.parametrize(
    ("fault", "message"), [("hangs", "step 1: step took longer than 0.1 s"), ("restarts", "step 1: .*own start")]
)
def test_what_hangs_or_resets_itself_costs_its_episode_and_is_named(fault: str, message: str) -> None:
    failures: list[OreoError] = []
    rollout = Rollout(Misbehaves, {"fault": fault}, step_timeout=0.1)
    played = play_in_order(rollout, "random", episodes=1, on_failure=failures.append)
    assert played == [] and re.search(f"Misbehaves in episode 0, {message}", str(failures[0]))


def test_an_environment_that_seeds_the_global_generator_is_told_of() -> None:
    with pytest.warns(UserWarning, match="global generator of random in reset"):
        assert len(play_in_order(Rollout(Misbehaves, {"fault": "seeds"}), "random", episodes=1)) == 1


def test_a_step_timeout_is_a_number_of_seconds() -> None:
    for timeout in (0, -1, "5", True):
        with pytest.raises(UsageError, match="step_timeout"):
            Rollout("alfworld", step_timeout=timeout)  # type: ignore[arg-type]
