"""oreo.agents.simulation: worlds that can be set back, and how far they go."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from helpers.word_models import Babble
from oreo.agents.agent import Episode
from oreo.agents.simulation import steps_left, world_of
from oreo.envs.registry import make
from oreo.envs.text_env import step_limit
from oreo.errors import UsageError
from oreo.trajectory import Step


def episode_in(env: Any, steps: int) -> Episode:
    episode = Episode(key=1, rng=np.random.default_rng(0), env=env, observation="", info={})
    episode.steps.extend([Step("", "look")] * steps)
    return episode


@pytest.mark.parametrize("steps", [0, 3])
def test_the_steps_left_are_those_to_the_limit(steps: int) -> None:
    env = make("oreo/ALFWorld-v0", max_steps=5)
    assert step_limit(env) == 5 and steps_left(episode_in(env, steps)) == 5 - steps


def test_the_world_is_beneath_its_wrappers_and_has_to_be_one_that_can_be_set_back() -> None:
    env = make("oreo/ALFWorld-v0")
    assert world_of(episode_in(env, 0)) is env.unwrapped
    with pytest.raises(UsageError, match="needs an environment with snapshot and restore; Babble has none"):
        world_of(episode_in(Babble(), 0))
