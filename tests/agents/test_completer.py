"""oreo.agents.completer: turns that are sampled elsewhere, valued and chosen here."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from helpers.protocol_server import ProtocolServer, served
from helpers.word_models import Babble, make_model
from oreo.agents.language_model import LanguageModelAgent
from oreo.agents.reading import EpisodeReader
from oreo.agents.served import served_agent
from oreo.agents.server import Server
from oreo.encoding.turn_format import TurnFormat
from oreo.rollouts.loop import rollout

pytest.importorskip("openai", reason="served models need the openai package: pip install 'oreo-agents[served]'")


def test_a_turn_that_the_server_cut_is_marked(protocol: ProtocolServer) -> None:
    protocol.faults = ['{"choices": [{"message": {"content": "w1 w2"}, "finish_reason": "length"}]}']
    with pytest.warns(UserWarning, match="cut off at max_new_tokens=48"):
        (trajectory,) = rollout(Babble, agent=served(protocol), episodes=1, seed=1, max_steps=2)
    assert [step.cut for step in trajectory.steps] == [True, False]


@pytest.mark.parametrize("many", [True, False])
def test_a_local_value_model_chooses_among_served_turns(protocol: ProtocolServer, tokenizer: Any, many: bool) -> None:
    protocol.many = many
    value = make_model("llama", seed=1, value=True)
    agent = served_agent(Server(protocol.url, "rule"), value=value, tokenizer=tokenizer, k=4)
    played = rollout(Babble, agent=agent, episodes=4, batch_size=3)
    turn_format = TurnFormat.from_tokenizer(tokenizer)
    assert played[0].agent == "served(rule, temperature=1.0, best_of=4)"
    assert max(len(step.candidates) for episode in played for step in episode.steps) == 4
    for trajectory in played:
        prefix: list[int] = []
        for step in trajectory.steps:
            lead = turn_format.between if prefix else turn_format.start
            prefix += lead(step.observation)
            assert step.value == pytest.approx(_worth(value, prefix), abs=1e-4)
            texts = [candidate.text for candidate in step.candidates]
            assert len(texts) == len(set(texts))
            for candidate in step.candidates:
                worth = _worth(value, prefix + turn_format.turn(candidate.text)[:-1])
                assert candidate.value == pytest.approx(worth, abs=1e-4)
            best = max(step.candidates, key=lambda candidate: candidate.value or 0.0)
            assert (step.text, step.log_prob) == (best.text, best.log_prob)
            prefix += turn_format.turn(step.text)
    assert max(body.get("n", 1) for body in protocol.asked) == 4
    asked, steps = len(protocol.asked), sum(map(len, played))
    assert asked == steps if many else asked >= 4 * steps


def _worth(value: Any, ids: list[int]) -> float:
    with torch.no_grad():
        return float(value(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1, 0])


def test_the_values_are_noted_without_a_choice_too(protocol: ProtocolServer, tokenizer: Any) -> None:
    value = make_model("llama", seed=1, value=True)
    agent = served_agent(Server(protocol.url, "rule"), value=value, tokenizer=tokenizer)
    (trajectory,) = rollout(Babble, agent=agent, episodes=1)
    local = LanguageModelAgent(EpisodeReader(make_model("llama"), tokenizer, value=value))
    first = local.reader.contexts.format.start(trajectory.steps[0].observation)
    assert trajectory.steps[0].value == pytest.approx(_worth(value, first), abs=1e-4)
    assert all(step.value is not None and not step.candidates for step in trajectory.steps)
