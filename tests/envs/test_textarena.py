"""TextArena's games for one player are step by step what the library plays."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import oreo.envs
from helpers.resets import assert_fifty_resets_leave_nothing
from oreo.errors import EngineError, MissingExtra, UsageError

GUESS = "GuessTheNumber-v0"


def test_an_episode_equals_the_librarys() -> None:
    textarena = pytest.importorskip("textarena", reason="textarena is not installed")
    env = oreo.envs.make(f"textarena:{GUESS}")
    observation, _ = env.reset(seed=3)
    drawn = int(np.random.Generator(np.random.PCG64(np.random.SeedSequence(3))).integers(2**31))
    kept = random.getstate()
    by_hand = textarena.make(GUESS)
    by_hand.reset(num_players=1, seed=drawn)
    told = by_hand.get_observation()[1]
    assert observation == told.strip()
    low, high, ended = 1, 20, False
    while not ended:
        guess = (low + high) // 2
        observation, reward, ended, _, info = env.step(f"[{guess}]")
        done, _ = by_hand.step(f"[{guess}]")
        assert done == ended
        if ended:
            rewards, _ = by_hand.close()
            assert reward == rewards[0] == 1 and info["won"]
        else:
            before, told = told, by_hand.get_observation()[1]
            assert observation == told[len(before) :].strip()
            low, high = (guess + 1, high) if "higher" in observation else (low, guess - 1)
    env.close()
    random.setstate(kept)


TEXTS = ("[up]", "[down]", "[right]", "[1]", "[10]", "[A C]", "[B C]", "[1 2]", "nonsense", "[hit]", "")


def by_hand(textarena: Any, name: str, seed: int, texts: list[str]) -> list[tuple[str, float, bool]]:
    kept = random.getstate()
    game = textarena.make(name)
    game.reset(num_players=1, seed=seed)
    before = game.get_observation()[1]
    played = [(before.strip(), 0.0, False)]
    for text in texts:
        done, _ = game.step(text)
        if done:
            rewards, closing = game.close()
            played.append((closing[0]["reason"], rewards[0], True))
            break
        told = game.get_observation()[1]
        played.append((told[len(before) :].strip(), 0.0, False))
        before = told
    random.setstate(kept)
    return played


@pytest.mark.parametrize("name", ["FrozenLake-v0", "LightsOut-v0", "TowerOfHanoi-v0", "2048-v0", "PegJump-v0"])
def test_random_episodes_equal_the_librarys(name: str) -> None:
    textarena = pytest.importorskip("textarena", reason="textarena is not installed")
    env = oreo.envs.make(f"textarena:{name}")
    for seed in range(3):
        drawn = int(np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed))).integers(2**31))
        texts = [TEXTS[int(place)] for place in np.random.default_rng(seed).integers(len(TEXTS), size=12)]
        observation, _ = env.reset(seed=seed)
        played = [(observation, 0.0, False)]
        while not played[-1][-1] and len(played) <= len(texts):
            observation, reward, terminated, _, _ = env.step(texts[len(played) - 1])
            played.append((observation, reward, terminated))
        assert played == by_hand(textarena, name, drawn, texts)
    env.close()


def test_a_snapshot_goes_on_with_the_same_chance() -> None:
    pytest.importorskip("textarena", reason="textarena is not installed")
    env = oreo.envs.make("textarena:2048-v0")
    env.reset(seed=0)
    inner: Any = env.unwrapped
    snapshot = inner.snapshot()
    futures = []
    for _ in range(2):
        futures.append([env.step(text)[0] for text in ("[up]", "[left]", "[up]", "[left]")])
        inner.restore(snapshot)
    assert futures[0] == futures[1] and len(set(futures[0])) > 1  # new tiles are drawn from the global generator
    env.close()


def test_fifty_resets_take_no_more_memory_files_and_processes() -> None:
    pytest.importorskip("textarena", reason="textarena is not installed")
    env = oreo.envs.make(f"textarena:{GUESS}")
    env.reset(seed=0)
    assert_fifty_resets_leave_nothing(env, "[7]")
    env.close()


def test_a_reward_that_is_no_number_is_the_librarys_error_in_one_line() -> None:
    pytest.importorskip("textarena", reason="textarena is not installed")
    env = oreo.envs.make("textarena:Countdown-v0")
    env.reset(seed=0)
    with pytest.raises(EngineError, match="TextArena failed .step.: TypeError: the game's reward is 'Invalid"):
        for _ in range(3):
            env.step("nonsense")
    env.close()


def test_games_that_there_are_not_or_for_several_are_refused() -> None:
    pytest.importorskip("textarena", reason="textarena is not installed")
    for name, message in (("GuessTheNumbr-v0", "did you mean 'GuessTheNumber-v0'"), ("TicTacToe-v0", "one player")):
        env = oreo.envs.make(f"textarena:{name}")
        with pytest.raises(UsageError, match=message):
            env.reset(seed=0)
        env.close()


def test_without_the_library_the_install_line_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "textarena.py").write_text("raise ImportError('No module named textarena')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(MissingExtra, match=r"No module named textarena.*oreo-agents\[textarena\]"):
        oreo.envs.make(f"textarena:{GUESS}").reset(seed=0)
