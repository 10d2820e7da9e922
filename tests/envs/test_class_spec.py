"""Step limits that gymnasium reads from the environment's class."""

from __future__ import annotations

import copy
from pathlib import Path

import gymnasium as gym
import pytest

from oreo.envs import registry
from oreo.envs.class_spec import ClassSpec
from oreo.errors import UsageError


def test_the_limits_gymnasium_keeps_are_the_classes_own() -> None:
    assert {name: gym.spec(name).max_episode_steps for name in registry.BUILT_IN} == {
        name: registry.load_class(built_in.env_class).max_steps for name, built_in in registry.BUILT_IN.items()
    }


def test_a_class_is_not_loaded_before_its_limit_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "late.py"
    spec = ClassSpec("late/Late-v0", entry_point=f"{path}:Late")
    with pytest.raises(UsageError, match="no such file"):
        _ = spec.max_episode_steps
    path.write_text("class Late:\n    max_steps = 7\n")
    assert spec.max_episode_steps == copy.deepcopy(spec).max_episode_steps == 7
