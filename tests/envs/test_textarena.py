"""TextArena's games for one player are step by step what the library plays."""

from __future__ import annotations

import random

import numpy as np
import pytest

import oreo.envs
from oreo.errors import MissingExtra, UsageError

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


def test_games_that_there_are_not_or_for_several_are_refused() -> None:
    pytest.importorskip("textarena", reason="textarena is not installed")
    for name, message in (("GuessTheNumbr-v0", "did you mean 'GuessTheNumber-v0'"), ("TicTacToe-v0", "one player")):
        env = oreo.envs.make(f"textarena:{name}")
        with pytest.raises(UsageError, match=message):
            env.reset(seed=0)
        env.close()


def test_without_the_library_the_install_line_is_said() -> None:
    try:
        import textarena  # noqa: F401
    except ImportError:
        with pytest.raises(MissingExtra, match=r"oreo-agents\[textarena\]"):
            oreo.envs.make(f"textarena:{GUESS}").reset(seed=0)
    else:
        pytest.skip("textarena is installed")
