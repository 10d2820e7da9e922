"""Gymnasium's own environments in words are step by step what gymnasium plays, and their experts win."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import gymnasium as gym
import numpy as np
import pytest

import oreo.envs
from oreo.agents.agent import Decision
from oreo.envs.gymnasium import WORDS, best_actions
from oreo.envs.text_env import step_limit
from oreo.errors import UsageError
from oreo.rollouts.loop import rollout

IDS = ("FrozenLake-v1", "Taxi-v4", "Blackjack-v1")


def original(id: str, seed: int, **settings: Any) -> tuple[gym.Env[Any, Any], Any]:
    """The environment by hand, begun as the adapter begins it."""
    env = gym.make(id, **settings)
    drawn = np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))).integers(2**31)
    return env, env.reset(seed=int(drawn))[0]


@pytest.mark.parametrize("id", IDS)
def test_random_episodes_equal_the_originals_step_by_step(id: str) -> None:
    env = oreo.envs.make(f"gymnasium:{id}")
    words = WORDS[id.partition("-")[0]]
    for seed in range(5):
        observation, info = env.reset(seed=seed)
        by_hand, seen = original(id, seed)
        draws = np.random.default_rng(seed)
        ended = False
        while not ended:
            assert observation == words.observe(seen, by_hand.unwrapped)
            command = str(draws.choice(info["admissible_commands"]))
            observation, reward, terminated, truncated, info = env.step(command)
            seen, reward_by_hand, *ends, _ = by_hand.step(words.actions.index(command))
            assert (reward, terminated, truncated) == (reward_by_hand, *ends)
            assert info["won"] == (ends[0] and reward_by_hand > 0)
            ended = terminated or truncated
    env.close()


def test_taxis_mask_says_what_is_admissible() -> None:
    env = oreo.envs.make("gymnasium:Taxi-v4")
    _, info = env.reset(seed=0)
    by_hand, _ = original("Taxi-v4", 0)
    drawn = np.random.Generator(np.random.PCG64(np.random.SeedSequence(0))).integers(2**31)
    mask = by_hand.reset(seed=int(drawn))[1]["action_mask"]
    assert info["admissible_commands"] == [
        word for word, open_ in zip(WORDS["Taxi"].actions, mask, strict=True) if open_
    ]


@pytest.mark.parametrize(("id", "settings"), [("Taxi-v4", {}), ("FrozenLake-v1", {"is_slippery": False})])
def test_the_expert_wins(id: str, settings: dict[str, Any]) -> None:
    played = rollout(f"gymnasium:{id}", agent="expert", episodes=5, env_kwargs=settings)
    assert all(episode.won for episode in played)
    if id == "FrozenLake-v1":
        assert {len(episode) for episode in played} == {6}  # the shortest way over gymnasium's 4x4 map


def test_value_iteration_prefers_the_likely_win_over_the_near_one() -> None:
    certain, risky = [(1.0, 1, 0.0, False)], [(0.1, 2, 1.0, True), (0.9, 3, 0.0, True)]
    stay = [(1.0, 3, 0.0, True)]
    table = {0: [risky, certain], 1: [[(1.0, 2, 1.0, True)], stay], 2: [stay, stay], 3: [stay, stay]}
    assert best_actions(table)[:2].tolist() == [1, 0]  # 0.99 against 0.1


def test_another_word_is_refused_and_changes_nothing() -> None:
    env = oreo.envs.make("gymnasium:FrozenLake-v1", is_slippery=False)
    first, _ = env.reset(seed=0)
    observation, reward, terminated, _, info = env.step("fly")
    assert "You can say: left, down, right, up" in observation and (reward, terminated) == (0.0, False)
    assert info["action_valid"] is False
    assert "row 0, column 1" in env.step("right")[0] and "row 0, column 0" in first


def test_the_limit_is_the_environments_own_or_the_one_asked_for() -> None:
    for max_steps, steps in ((None, 100), (2, 2)):
        env = oreo.envs.make("gymnasium:FrozenLake-v1", max_steps=max_steps, is_slippery=False)
        env.reset(seed=0)
        ends = [env.step("left")[3] for _ in range(steps)]
        assert ends == [False] * (steps - 1) + [True]


def test_words_of_the_users_own_are_a_dozen_lines(tmp_path: Path) -> None:
    file = tmp_path / "cart.py"
    file.write_text(
        "from oreo.envs.gymnasium import Words\n"
        "def observe(seen, env):\n"
        '    return f\'The pole leans {"left" if seen[2] < 0 else "right"}.\'\n'
        "WORDS = Words(('push left', 'push right'), observe, 'keep the pole upright')\n"
        "WRONG = Words(('push',), observe)\n"
        "NOTHING = 5\n"
    )

    class Balance:
        name, checkpoint = "balance", ""

        def act(self, episodes: list[Any]) -> list[Decision]:
            return [Decision(f"push {one.observation.split()[-1].rstrip('.')}") for one in episodes]

    (played,) = rollout("gymnasium:CartPole-v1", agent=Balance(), episodes=1, env_kwargs={"words": f"{file}:WORDS"})
    assert played.episode_return == len(played) > 20 and played.task == "keep the pole upright"
    with pytest.raises(UsageError, match="2 actions, and there are words for 1"):
        oreo.envs.make("gymnasium:CartPole-v1", words=f"{file}:WRONG")
    with pytest.raises(UsageError, match="expected an oreo.envs.gymnasium.Words"):
        oreo.envs.make("gymnasium:CartPole-v1", words=f"{file}:NOTHING")


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("gymnasium:", {}, "gymnasium:FrozenLake-v1"),
        ("gymnasium:NoSuch-v0", {}, "cannot make 'NoSuch-v0'"),
        ("gymnasium:CartPole-v1", {}, "no words for Box"),
        ("gymnasium:Taxi-v4", {"speed": 3}, "speed"),
    ],
)
def test_what_cannot_be_made_is_said_in_one_line(name: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        oreo.envs.make(name, **settings)
    assert "\n" not in str(caught.value)


def test_words_may_say_when_an_episode_is_won(tmp_path: Path) -> None:
    (tmp_path / "pole.py").write_text(
        "from oreo.envs.gymnasium import Words\n"
        "WORDS = Words(('left', 'right'), lambda seen, env: 'A pole.', won=lambda seen, env: abs(seen[2]) < 0.2)\n"
    )
    env = oreo.envs.make("gymnasium:CartPole-v1", words=f"{tmp_path}/pole.py:WORDS")
    assert env.reset(seed=0)[1]["won"] is False
    ended, won = False, []
    while not ended:
        _, reward, ended, _, info = env.step("left")
        won.append(info["won"])
        assert reward == 1
    assert won[0] and not won[-1], "it falls, whatever it was paid for"
    assert env.reset(seed=1)[1]["won"] is False


@pytest.mark.parametrize("name", ["bells:bells/Bell-v0", "bells:Bell-v0"])
def test_a_module_before_the_id_registers_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    (tmp_path / "bells.py").write_text(
        "import gymnasium as gym\n"
        "from oreo.envs.text_space import TextSpace\n"
        "class Bell(gym.Env):\n"
        "    observation_space = action_space = TextSpace()\n"
        "    def reset(self, *, seed=None, options=None):\n"
        "        super().reset(seed=seed)\n"
        "        return 'A bell.', {}\n"
        "    def step(self, action):\n"
        "        return 'Ding.', 1.0, action == 'ring', False, {}\n"
        "for name in ('bells/Bell-v0', 'Bell-v0'):\n"
        "    gym.register(name, entry_point=Bell, max_episode_steps=7)\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "bells", raising=False)
    env = oreo.envs.make(f"gymnasium:{name}")
    assert env.reset(seed=0)[0] == "A bell." and step_limit(env) == 7
    assert env.step("ring")[:3] == ("Ding.", 1.0, True)


def test_blackjack_has_no_expert() -> None:
    with pytest.raises(UsageError, match="transitions are not known"):
        rollout("gymnasium:Blackjack-v1", agent="expert", episodes=1)


@pytest.mark.parametrize("id", IDS)
def test_the_checks_find_nothing(id: str) -> None:
    report = oreo.envs.check(f"gymnasium:{id}")
    assert report.passed, str(report)
