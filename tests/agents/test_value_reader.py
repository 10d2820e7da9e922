"""oreo.agents.value_reader: V of states, as a plain pass has it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from helpers.rereading import agent_of, reread
from helpers.word_models import Babble, make_model
from oreo.encoding.turn_format import TurnFormat
from oreo.rollouts.loop import rollout


def test_the_value_of_each_state_is_that_of_a_plain_pass(tokenizer: Any) -> None:
    value = make_model("qwen2", seed=1, value=True)
    agent = agent_of("qwen2", tokenizer, value=value)
    for trajectory in rollout(Babble, agent=agent, episodes=5, batch_size=3):
        encoded = TurnFormat.from_tokenizer(tokenizer).encode(trajectory)
        values = reread(value, encoded.input_ids.tolist())[:, 0]
        for step, start in zip(trajectory.steps, np.flatnonzero(encoded.step_start), strict=True):
            assert step.value == pytest.approx(float(values[start - 1]), abs=1e-4)
