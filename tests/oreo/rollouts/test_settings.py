"""What is played, in one record: checked where it is made, the same for everybody who is given it."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from oreo.envs.text_env import TextEnv, step_limit
from oreo.errors import UsageError
from oreo.rollouts.settings import Rollout, seeds


class Short(TextEnv):
    max_steps = 3


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"env": 5}, "env=5: expected a name"),
        ({"seed": -1}, "seed is a whole number of at least 0, got -1"),
        ({"seed": True}, "seed is a whole number"),
        ({"seed": 1.0}, "seed is a whole number"),
        ({"seed": "x"}, "seed is a whole number of at least 0, got 'x'"),
        ({"batch_size": 0}, "batch_size is a whole number of at least 1"),
        ({"max_steps": 0}, "max_steps is a whole number of at least 1"),
        ({"sample": -1}, "sample is a whole number of at least 0"),
        ({"games": []}, "the list of games is empty"),
        ({"games": "one"}, "expected a list of names"),
        ({"env_kwargs": {"faces": {1}}}, "plain JSON"),
        ({"env_kwargs": [1]}, "env_kwargs is a dict of arguments"),
    ],
)
def test_a_wrong_value_is_refused_by_name(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Rollout(**{"env": "alfworld", **wrong})


def test_numpys_whole_numbers_are_whole_numbers_and_workers_get_the_same_record() -> None:
    rollout = Rollout("alfworld", {"split": "generated"}, np.int64(3), ["a"], 4, 9, 1)  # type: ignore[arg-type]
    assert pickle.loads(pickle.dumps(rollout)) == rollout


def test_what_is_stored_says_how_the_environment_is_made_again() -> None:
    assert Rollout("alfworld", {"split": "generated"}).stored_kwargs == {"split": "generated"}
    assert Rollout("alfworld", max_steps=9).stored_kwargs == {"max_steps": 9}
    assert Rollout("alfworld").env_id == "alfworld" and Rollout(Short).env_id == f"{__name__}:Short"


def test_a_class_keeps_its_own_limit_unless_another_is_given() -> None:
    assert step_limit(Rollout(Short).make()) == 3
    assert step_limit(Rollout(Short, max_steps=7).make()) == 7


def test_samples_share_the_environments_seed_and_not_the_agents_draws() -> None:
    (first, agents), (second, others) = seeds(0, 4), seeds(0, 4, sample=1)
    assert first == second and agents.random() != others.random()
    assert seeds(0, 4)[1].random() == seeds(0, 4)[1].random()
    assert len({seeds(seed, index)[0] for seed in range(3) for index in range(100)}) == 300
