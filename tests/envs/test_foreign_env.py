"""What all adapters share, with a library of a few lines in the process: a stair of four steps, "up" and "down"."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from helpers.resets import assert_fifty_resets_leave_nothing
from oreo.envs.checking.surroundings import children
from oreo.envs.foreign import ForeignGame, serve_game
from oreo.envs.foreign_env import ForeignEnv, RestorableEnv
from oreo.errors import EngineError, UsageError


class Player:
    """The library."""

    def __init__(self) -> None:
        self.height = 0

    def reset(self, path: list[str]) -> dict[str, Any]:
        self.height = 0
        return {"path": path, "task": "reach the top"} | self._state()

    def step(self, text: str) -> dict[str, Any]:
        print("noise")
        if text == "die":
            os._exit(1)
        if text == "fail":
            raise ValueError("a stair broke")
        self.height += {"up": 1, "down": -1}.get(text.strip(), 0)
        return self._state() | ({"action_valid": False} if text == "fly" else {})

    def save(self) -> int:
        return self.height

    def load(self, saved: int) -> None:
        self.height = saved

    def _state(self) -> dict[str, Any]:
        won = self.height == 4
        commands = ["up", "down"] if self.height else ["up"]
        return {
            "text": f"step {self.height}",
            "score": 5 * self.height,
            "won": won,
            "done": won,
            "admissible_commands": commands,
        }


def main() -> None:
    serve_game(lambda: None, Player)


class Stair(RestorableEnv):
    max_steps = 20
    points_of_a_reward = 20.0

    def __init__(self, path: str = "up up up up", render_mode: str | None = None) -> None:
        super().__init__(ForeignGame("Stair", "test_foreign_env:main", "pip install stair"), render_mode)
        self.path = path.split()

    def start(self, rng: np.random.Generator) -> str:  # type: ignore[override]
        return self.begin("stair", path=self.path)


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


@pytest.fixture
def env() -> Any:
    made = Stair()
    yield made
    made.close()


def test_an_episode_is_what_the_library_answers(env: Stair) -> None:
    text, info = env.reset(seed=0)
    assert text == "step 0"
    assert info == {"game": "stair", "task": "reach the top", "admissible_commands": ["up"], "won": False}
    assert env.step("up") == (
        "step 1",
        0.25,
        False,
        False,
        {
            "game": "stair",
            "task": "reach the top",
            "admissible_commands": ["up", "down"],
            "action_valid": True,
            "won": False,
        },
    )
    assert env.step("fly")[-1]["action_valid"] is False
    assert "action_valid" not in env.step("sing")[-1]  # not listed, and the library does not tell
    rewards = [env.step("up")[1] for _ in range(2)]
    _, reward, terminated, _, info = env.step("up")
    assert (sum(rewards) + reward, terminated, info["won"]) == (0.75, True, True)
    with pytest.raises(UsageError, match="over: call reset"):
        env.step("up")
    assert env.reset(seed=1)[1]["won"] is False


def test_the_expert_follows_the_walkthrough_while_the_episode_does(env: Stair) -> None:
    env.reset(seed=0)
    for _ in range(4):
        _, _, terminated, _, _ = env.step(f" {env.expert_action()} ")
    assert terminated
    env.reset(seed=0)
    env.step("look")
    with pytest.raises(UsageError, match="stair has no walkthrough from here on"):
        env.expert_action()
    short = Stair(path="")
    short.reset(seed=0)
    with pytest.raises(UsageError, match="choose another agent"):
        short.expert_action()
    short.step("up")
    short.close()


def test_snapshots_go_back_and_on_alike_any_number_of_times(env: Stair) -> None:
    env.reset(seed=0)
    env.step("up")
    snapshot = env.snapshot()
    first = env.step("up")
    for _ in range(2):
        env.step("up")
        env.restore(snapshot)
        assert env.expert_action() == "up" and env.step("up") == first


def test_a_snapshot_of_an_earlier_episode_of_the_same_game_is_refused(env: Stair) -> None:
    env.reset(seed=0)
    env.step("up")
    earlier = env.snapshot()
    env.reset(seed=0)
    env.snapshot()
    with pytest.raises(UsageError, match="of an earlier episode"):
        env.restore(earlier)
    assert env.step("up")[0] == "step 1"


@pytest.mark.parametrize(("text", "message"), [("fail", "Stair failed .step.: ValueError: a stair"), ("die", "ended")])
def test_after_a_step_that_fails_no_game_is_in_progress(env: Stair, text: str, message: str) -> None:
    env.reset(seed=0)
    with pytest.raises(EngineError, match=message):
        env.step(text)
    with pytest.raises(UsageError, match="no game is in progress: call reset"):
        env.step("up")
    assert env.reset(seed=0)[0] == "step 0"


def test_a_copy_wants_a_reset_and_leaves_the_original_alone(env: Stair) -> None:
    env.reset(seed=0)
    env.step("up")
    for copied in (copy.deepcopy(env), pickle.loads(pickle.dumps(env))):
        with pytest.raises(UsageError, match="no game is in progress"):
            copied.step("up")
        copied.reset(seed=0)
        assert copied.step("up")[0] == "step 1"
        copied.close()
    assert env.step("up")[0] == "step 2"


def test_fifty_resets_take_no_more_memory_files_and_processes(env: Stair) -> None:
    env.reset(seed=0)
    processes = children()
    assert_fifty_resets_leave_nothing(env, "up")
    env.close()
    assert processes is None or children() == processes - 1


def test_one_that_cannot_go_back_offers_no_snapshot() -> None:
    assert not hasattr(ForeignEnv, "snapshot")
