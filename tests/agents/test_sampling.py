"""Draws follow their distribution and depend on nothing but their own numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from helpers.rereading import MAX_NEW_TOKENS, agent_of, reread
from helpers.word_models import Babble, Lines, make_model
from oreo.agents.best_of_k import BestOfKAgent
from oreo.agents.ragged_cache import RaggedCache
from oreo.agents.reading import EpisodeReader
from oreo.agents.sampling import TurnSampler, draw
from oreo.rollouts.loop import rollout

LOGITS = torch.tensor([[0.0, 1.0, 2.0, -torch.inf, 0.5], [3.0, 0.0, 0.0, 1.0, -1.0]])


def test_frequencies_are_the_probabilities() -> None:
    uniform = (np.arange(20000) + 0.5) / 20000
    tokens, log_probs = draw(LOGITS, np.stack([uniform, uniform]), temperature=0.7)
    for row in range(2):
        expected = (LOGITS[row] / 0.7).softmax(-1)
        frequencies = np.bincount(tokens[row], minlength=5) / 20000
        assert np.allclose(frequencies, expected, atol=1e-3)
        assert np.allclose(np.exp(log_probs[row]), expected[tokens[row]], atol=1e-6)


@pytest.mark.parametrize("uniform", [0.0, 1 - 2.0**-53])
def test_the_ends_of_the_interval_are_tokens_of_some_probability(uniform: float) -> None:
    tokens, log_probs = draw(torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]]), np.array([[uniform]]))
    assert tokens[0, 0] in (1, 2) and log_probs[0, 0] == pytest.approx(np.log(0.5))


def test_temperature_zero_is_the_likeliest_token_under_the_models_own_probabilities() -> None:
    tokens, log_probs = draw(LOGITS, np.full((2, 3), 0.99), temperature=0)
    assert tokens.tolist() == [[2, 2, 2], [0, 0, 0]]
    assert log_probs[0, 0] == pytest.approx(float(LOGITS[0].log_softmax(-1)[2]))


def test_the_nucleus_is_the_smallest_set_that_holds_top_p() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    uniform = np.linspace(0, 1, 1000, endpoint=False)[None]
    for top_p, size in [(0.4, 1), (0.6, 2), (0.9, 3), (0.99, 4)]:
        tokens, log_probs = draw(logits, uniform, top_p=top_p)
        assert set(tokens[0]) == set(range(size))
        kept = logits[0, :size].softmax(-1)
        assert np.allclose(np.exp(log_probs[0]), kept[tokens[0]], atol=1e-6)


def test_rows_do_not_know_of_each_other() -> None:
    uniform = np.random.default_rng(0).random((2, 50))
    both, _ = draw(LOGITS, uniform, top_p=0.8)
    for row in range(2):
        assert (draw(LOGITS[row : row + 1], uniform[row : row + 1], top_p=0.8)[0] == both[row]).all()


@pytest.mark.parametrize("temperature", [1.0, 0.0])
def test_the_policy_reads_each_beginning_of_the_sampled_turns_once(
    temperature: float, tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[int] = []
    extend, sample = RaggedCache.extend, TurnSampler.sample

    def counted(cache: RaggedCache, tokens: Any, parents: Any) -> torch.Tensor:
        read[-1] += len(tokens)
        return extend(cache, tokens, parents)

    def checked(sampler: TurnSampler, *args: Any) -> Any:
        read.append(0)
        turns = sample(sampler, *args)
        # A turn that ended has been read to its last token, one that was cut off to the last but one.
        beginnings = [{tuple(turn.ids[:end]) for turn in row for end in range(1, turn.read + 1)} for row in turns]
        assert read[-1] == sum(map(len, beginnings))
        several.append(read[-1] < sum(turn.read for row in turns for turn in row))
        return turns

    several: list[bool] = []
    value = make_model("llama", seed=1, value=True)
    reader = EpisodeReader(make_model("llama"), tokenizer, value=value, max_new_tokens=6, temperature=temperature)
    agent = BestOfKAgent(reader, k=4)
    monkeypatch.setattr(RaggedCache, "extend", counted)
    monkeypatch.setattr(TurnSampler, "sample", checked)
    rollout(Babble, agent=agent, episodes=4, batch_size=3)
    assert any(several)


class Sentences(Lines):
    """A turn ends before a blank, which is seen when the next word is there."""

    stop = ("w12 ", "w25 ", "w31 ", "w44 ", "w50 ", "w58 ", "w7 ", "w9 ")


def test_what_was_drawn_beyond_the_end_of_a_turn_is_drawn_again_and_not_counted(tokenizer: Any) -> None:
    agent = agent_of("llama", tokenizer)
    played = rollout(Sentences, agent=agent, episodes=12, batch_size=5)
    on = [step for episode in played for step in episode.steps if step.continues_message]
    assert on and not any(mark in step.text for step in on for mark in Sentences.stop)
    for trajectory in played:
        encoded = agent.reader.contexts.format.encode(trajectory)
        log_probs = reread(agent.reader.policy.model, encoded.input_ids.tolist()).log_softmax(-1)
        turn_of = np.cumsum(encoded.step_start) * encoded.action_mask
        for index, step in enumerate(trajectory.steps):
            places = np.flatnonzero(turn_of == index + 1)[:MAX_NEW_TOKENS]
            expected = sum(float(log_probs[at - 1, encoded.input_ids[at]]) for at in places)
            # Whether a message ended behind such a word or went on cannot be told.
            ended = expected + float(log_probs[places[-1], agent.reader.contexts.format.end]) * step.continues_message
            assert step.log_prob in (pytest.approx(expected, abs=2e-4), pytest.approx(ended, abs=2e-4))


def test_a_turn_that_the_limit_ended_is_marked_and_one_that_ended_by_itself_is_not(tokenizer: Any) -> None:
    played = rollout(Babble, agent=agent_of("llama", tokenizer), episodes=8)
    assert {step.cut for episode in played for step in episode.steps} == {True, False}
    for trajectory in played:
        for step in trajectory.steps:
            assert step.cut == (len(tokenizer(step.text).input_ids) == MAX_NEW_TOKENS)
