"""oreo.agents.language_model: turns and log-probabilities are those of plain passes, whoever shares the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from helpers.rereading import MAX_NEW_TOKENS, Endless, agent_of, check_against_rereading, reread
from helpers.word_models import ARCHITECTURES, Babble, Lines, make_model
from oreo.agents.agent import Decision
from oreo.agents.language_model import LanguageModelAgent
from oreo.agents.reading import EpisodeReader
from oreo.encoding.turn_format import TurnFormat
from oreo.rollouts.loop import rollout


@pytest.mark.parametrize(
    ("architecture", "temperature"),
    [*((architecture, 1.0) for architecture in ARCHITECTURES), ("llama", 0.0), ("gpt2", 0.0), ("qwen2", 0.7)],
)
def test_cached_turns_have_the_log_probabilities_of_a_plain_pass(
    architecture: str, temperature: float, tokenizer: Any
) -> None:
    agent = agent_of(architecture, tokenizer, temperature=temperature)
    played = rollout(Babble, agent=agent, episodes=6, batch_size=3)
    assert len({len(episode) for episode in played}) > 2, "episodes are to leave and enter at different times"
    for trajectory in played:
        check_against_rereading(agent.reader.policy.model, tokenizer, trajectory, temperature)


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "qwen2"])
def test_an_episode_does_not_depend_on_the_batch_it_is_in(architecture: str, tokenizer: Any) -> None:
    played = [
        rollout(Babble, agent=agent_of(architecture, tokenizer), episodes=6, batch_size=batch_size, seed=3)
        for batch_size in (1, 4, 6)
    ]
    for alone, four, six in zip(*played, strict=True):
        assert [step.text for step in alone.steps] == [step.text for step in four.steps]
        assert [step.text for step in alone.steps] == [step.text for step in six.steps]
        for one, other in zip(alone.steps, six.steps, strict=True):
            assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)


class Replaced:
    """Says something else now and then than its language model wanted."""

    name, checkpoint = "replaced", ""

    def __init__(self, agent: LanguageModelAgent) -> None:
        self.agent = agent

    def act(self, episodes: Any) -> list[Decision]:
        decisions = self.agent.act(episodes)
        return [
            Decision("w5 w6 w7", imitate=False) if len(episode.steps) % 3 == 1 else decision
            for episode, decision in zip(episodes, decisions, strict=True)
        ]


def test_the_model_is_told_what_was_done_and_not_what_it_meant_to_do(tokenizer: Any) -> None:
    agent = agent_of("llama", tokenizer)
    for trajectory in rollout(Babble, agent=Replaced(agent), episodes=4, batch_size=2):
        spoken = [step for step in trajectory.steps if step.log_prob is not None]
        assert len(spoken) < len(trajectory) or len(trajectory) < 2
        encoded = TurnFormat.from_tokenizer(tokenizer).encode(trajectory)
        log_probs = reread(agent.reader.policy.model, encoded.input_ids.tolist()).log_softmax(-1)
        for step, start in zip(trajectory.steps, np.flatnonzero(encoded.step_start), strict=True):
            if step.log_prob is not None:
                ids = agent.reader.contexts.format.turn(step.text)[:MAX_NEW_TOKENS]
                expected = sum(float(log_probs[start - 1 + at, token]) for at, token in enumerate(ids))
                assert step.log_prob == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize(("architecture", "temperature"), [("llama", 1.0), ("gpt2", 0.0), ("mistral", 1.0)])
def test_a_message_in_several_turns_is_read_as_training_reads_it(
    architecture: str, temperature: float, tokenizer: Any
) -> None:
    agent = agent_of(architecture, tokenizer, temperature=temperature)
    played = rollout(Lines, agent=agent, episodes=12, batch_size=5)
    steps = [step for episode in played for step in episode.steps]
    assert {step.continues_message for step in steps} == {False, True}
    for step in steps:
        marks = [mark for mark in Lines.stop if mark in step.text]
        assert step.continues_message == bool(marks) and all(step.text.endswith(mark) for mark in marks)
    for trajectory in played:
        check_against_rereading(agent.reader.policy.model, tokenizer, trajectory, temperature)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_fifty_turns_with_a_cache_are_fifty_turns_without_one(architecture: str, tokenizer: Any) -> None:
    agent = of_many_positions(architecture, tokenizer)
    for trajectory in rollout(Endless, agent=agent, episodes=2, batch_size=2):
        assert len(trajectory) == 50
        check_against_rereading(agent.reader.policy.model, tokenizer, trajectory, 0.0, tolerance=1e-4)


def of_many_positions(architecture: str, tokenizer: Any) -> LanguageModelAgent:
    longer = {"n_positions": 2048} if architecture == "gpt2" else {"max_position_embeddings": 2048}
    model = make_model(architecture, **longer)
    return LanguageModelAgent(EpisodeReader(model, tokenizer, temperature=0.0, max_new_tokens=MAX_NEW_TOKENS))


def test_fifty_turns_do_not_depend_on_the_batch_they_are_in(tokenizer: Any) -> None:
    agent = of_many_positions("gemma2", tokenizer)
    together = rollout(Endless, agent=agent, episodes=3, batch_size=3)
    (alone,) = rollout(Endless, agent=agent, episodes=1)
    assert [step.text for step in alone.steps] == [step.text for step in together[0].steps]
    for one, other in zip(alone.steps, together[0].steps, strict=True):
        assert one.log_prob == pytest.approx(other.log_prob, abs=1e-4)
