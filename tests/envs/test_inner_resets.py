"""An environment's own resets are noticed while it is watched, and at no other time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oreo.envs import TextEnv
from oreo.envs.inner_resets import watch_resets


class Restarts(TextEnv):
    def start(self, rng: np.random.Generator) -> str:
        return "begin"

    def act(self, text: str) -> tuple[str, float, bool]:
        if text == "start":
            self.start(self.np_random)
        if text == "reset":
            self.reset()
        return "on", 0.0, False


@pytest.mark.parametrize(("action", "told"), [("start", ["start"]), ("reset", ["reset", "start"]), ("go on", [])])
def test_inner_calls_are_told(action: str, told: list[str]) -> None:
    env, calls = Restarts(), list[str]()
    env.reset(seed=0)
    with watch_resets(env, calls.append):
        env.step(action)
    env.reset(seed=0)
    env.step(action)
    assert calls == told and not {"start", "reset"} & set(vars(env))


def test_what_the_callback_raises_stops_the_step() -> None:
    class Inside(Exception):
        pass

    def refuse(name: str) -> Any:
        raise Inside(name)

    env = Restarts()
    env.reset(seed=0)
    with pytest.raises(Exception) as caught, watch_resets(env, refuse):
        env.step("start")
    assert "Inside" in str(caught.value)
