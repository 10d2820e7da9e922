"""oreo.agents.reading: what is read of episodes before a turn is chosen."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from helpers.rereading import agent_of
from helpers.word_models import Babble, make_model
from oreo.agents.agent import Episode
from oreo.agents.reading import EpisodeReader
from oreo.errors import DataError, UsageError
from oreo.rollouts.loop import rollout


@pytest.mark.parametrize(
    "wrong", [{"temperature": -1}, {"top_p": 0}, {"top_p": 1.5}, {"max_new_tokens": 0}, {"context": 48}]
)
def test_a_wrong_setting_is_refused(wrong: dict[str, Any], tokenizer: Any) -> None:
    with pytest.raises(UsageError, match=next(iter(wrong))):
        EpisodeReader(make_model("llama"), tokenizer, **wrong)


def test_nothing_to_decide_is_no_decision(tokenizer: Any) -> None:
    episodes: list[Episode] = []
    assert agent_of("llama", tokenizer).act(episodes) == []


@pytest.mark.parametrize("value", [False, True])
def test_a_model_whose_weights_are_not_numbers_is_refused(value: bool, tokenizer: Any) -> None:
    policy, valued = make_model("llama"), make_model("llama", seed=1, value=True)
    torch.nn.init.constant_((valued if value else policy).model.norm.weight, float("nan"))
    with pytest.raises(DataError, match="Llama.* gives outputs that are not finite numbers: its weights are damaged"):
        EpisodeReader(policy, tokenizer, value=valued)


def test_a_model_that_gives_no_numbers_later_on_is_refused_then(tokenizer: Any) -> None:
    agent = agent_of("llama", tokenizer, value=make_model("llama", seed=1, value=True))
    torch.nn.init.constant_(agent.reader.needed_value_reader().cache.model.model.norm.weight, float("nan"))
    with pytest.raises(DataError, match="the value model gives outputs that are not finite numbers"):
        rollout(Babble, agent=agent, episodes=1)
    agent = agent_of("llama", tokenizer)
    torch.nn.init.constant_(agent.reader.policy.model.model.norm.weight, float("nan"))
    for temperature in (0.0, 1.0):
        agent.reader.sampler.temperature = temperature
        with pytest.raises(DataError, match="the policy model gives outputs that are not finite numbers"):
            rollout(Babble, agent=agent, episodes=1)
