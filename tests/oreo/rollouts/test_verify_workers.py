"""Several processes come to the verdicts of one, in the same order, and end with the block whatever happens."""

from __future__ import annotations

import multiprocessing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from oreo.errors import EngineError, UsageError
from oreo.rollouts.loop import rollout
from oreo.rollouts.verify import Verifier
from oreo.rollouts.verify_workers import Verifiers
from oreo.trajectory import Step, Trajectory

GUESS = f"{Path(__file__).parents[3] / 'examples' / 'guess.py'}:Guess"
EXITS = '''
import os
from oreo.envs import TextEnv
class Exits(TextEnv):
    """An environment that ends its process at the word exit."""
    def start(self, rng):
        return "a room"
    def act(self, text):
        if text == "exit":
            os._exit(3)
        return "so be it", 0.0, False
'''


def test_verdicts_are_those_of_one_process_in_order() -> None:
    episodes: list[Any] = rollout(GUESS, agent="expert", episodes=6)
    episodes[2] = replace(episodes[2], won=not episodes[2].won)
    with Verifier(GUESS) as verifier:
        expected = list(verifier.verify_each(episodes))
    before = set(multiprocessing.active_children())
    with Verifiers(GUESS, workers=2) as verifiers:
        assert list(verifiers.verify_each(iter(episodes))) == expected
        with pytest.raises(UsageError, match="say --env"), Verifiers(workers=1) as unnamed:
            list(unnamed.verify_each(episodes))
    assert set(multiprocessing.active_children()) == before
    assert [verdict.reproduces for verdict, _ in expected] == [number != 2 for number in range(6)]


def test_an_environment_that_ends_its_process_is_one_line_and_an_interrupt_leaves_no_process(tmp_path: Path) -> None:
    (tmp_path / "exits.py").write_text(EXITS)
    env = f"{tmp_path / 'exits.py'}:Exits"

    def episode(word: str) -> Trajectory:
        return Trajectory(env, (Step("a room", word),), "so be it", False, True, False, seed=0)

    before = set(multiprocessing.active_children())
    with Verifiers(env, workers=1) as verifiers:
        told = verifiers.verify_each(map(episode, ["a", "b", "exit", "c"]))
        with pytest.raises(EngineError, match="--workers 1"):
            list(told)
    with pytest.raises(KeyboardInterrupt), Verifiers(env, workers=1) as verifiers:
        next(verifiers.verify_each(map(episode, "abcdef")))
        raise KeyboardInterrupt
    assert set(multiprocessing.active_children()) == before
