"""The contract of TextEnv and of its space of all strings."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.wrappers import TimeLimit
from hypothesis import given
from hypothesis import strategies as st

from oreo.envs import TextEnv, TextSpace
from oreo.errors import UsageError


class Echo(TextEnv):
    """Says what it hears; "stop" ends the episode, "win" wins it."""

    def start(self, rng: np.random.Generator, *, greeting: str = "hello") -> str:
        return f"{greeting} {rng.integers(10)}"

    def act(self, text: str) -> tuple[str, float, bool]:
        return text, float(text == "win"), text in ("win", "stop")

    def info(self) -> dict[str, Any]:
        return {"task": "say win"}


def test_gymnasiums_checker_accepts_it() -> None:
    check_env(Echo())


@pytest.mark.parametrize(("action", "won"), [("win", True), ("stop", False), ("go on", False)])
def test_an_episode_is_won_when_it_ends_with_a_positive_reward(action: str, won: bool) -> None:
    env = Echo()
    env.reset(seed=0)
    assert env.step(action)[4] == {"task": "say win", "won": won}


def test_a_time_limit_truncates_and_does_not_terminate() -> None:
    env = TimeLimit(Echo(), 2)
    env.reset(seed=0)
    assert env.step("a")[2:4] == (False, False)
    assert env.step("b")[2:4] == (False, True)


def test_reset_options_reach_start() -> None:
    assert Echo().reset(seed=0, options={"greeting": "good day"})[0].startswith("good day")


@pytest.mark.parametrize("action", [None, 3, b"look", ["look"]])
def test_an_action_that_is_no_string_is_refused_by_name(action: Any) -> None:
    env = Echo()
    env.reset(seed=0)
    with pytest.raises(UsageError, match="is a str, got"):
        env.step(action)


def test_without_an_expert_the_message_says_what_to_add() -> None:
    with pytest.raises(UsageError, match="Echo has no expert"):
        Echo().expert_action()


@given(st.text())
def test_every_string_is_in_the_space(text: str) -> None:
    assert text in TextSpace()


def test_samples_are_seeded_and_encodable() -> None:
    spaces = TextSpace(seed=3), TextSpace(seed=3)
    for _ in range(200):
        one, other = (space.sample() for space in spaces)
        assert one == other and one in spaces[0]
        one.encode()
