"""Best of K takes the most valuable of its candidates, by values that a plain pass over the episode confirms."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from helpers.word_models import Babble, Lines, make_model
from oreo.agents.best_of_k import BestOfKAgent, most_valuable
from oreo.agents.language_model import LanguageModelAgent
from oreo.agents.reading import EpisodeReader
from oreo.encoding.turn_format import TurnFormat, tail
from oreo.envs.text_env import continues_message
from oreo.errors import DataError
from oreo.rollouts.loop import rollout
from oreo.trajectory import Candidate, Step, Trajectory


def make_agent(architecture: str, tokenizer: Any, k: int, **settings: Any) -> BestOfKAgent:
    policy, value = make_model(architecture), make_model(architecture, seed=1, value=True)
    return BestOfKAgent(EpisodeReader(policy, tokenizer, value=value, **{"max_new_tokens": 5} | settings), k=k)


def prefix_of(turn_format: TurnFormat, steps: tuple[Step, ...]) -> list[int]:
    """Tokens up to where the last of `steps` chose its turn, put together from the pieces."""
    ids, preceding = turn_format.start(steps[0].observation), ""
    for step, after in zip(steps, steps[1:], strict=False):
        ids += turn_format.turn(step.text, continues_message=step.continues_message, preceding=preceding)
        ids += turn_format.between(after.observation, step.text[-1:] if step.continues_message else "")
        preceding = tail(step, after.observation)
    return ids


def plain(model: Any, ids: list[int]) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()


def check(agent: BestOfKAgent, trajectory: Trajectory, stop: tuple[str, ...] = ()) -> None:
    preceding = ""
    for index, step in enumerate(trajectory.steps):
        prefix = prefix_of(agent.reader.contexts.format, trajectory.steps[: index + 1])
        assert step.value == pytest.approx(float(plain(agent.value_reader.cache.model, prefix)[-1, 0]), abs=1e-4)
        texts = [candidate.text for candidate in step.candidates]
        assert len(texts) == len(set(texts))
        for candidate in step.candidates:
            ids = agent.reader.contexts.format.turn(
                candidate.text, continues_message=continues_message(candidate.text, stop), preceding=preceding
            )
            # Before the last token, which ends the turn, whether or not it was reached.
            worth = float(plain(agent.value_reader.cache.model, prefix + ids[:-1])[-1, 0])
            assert candidate.value == pytest.approx(worth, abs=1e-4)
            spoken = ids[: agent.reader.sampler.max_new_tokens]
            logits = plain(agent.reader.policy.model, prefix + spoken)[len(prefix) - 1 : -1]
            log_probs = (logits / (agent.reader.sampler.temperature or 1.0)).log_softmax(-1)
            expected = sum(float(log_probs[at, token]) for at, token in enumerate(spoken))
            assert candidate.log_prob == pytest.approx(expected, abs=2e-4)
        best = max(step.candidates, key=lambda candidate: candidate.value or 0.0)
        assert (step.text, step.log_prob) == (best.text, best.log_prob)
        preceding = tail(step, (*trajectory.steps, step)[index + 1].observation)


@pytest.mark.parametrize(
    ("candidates", "index"),
    [
        ([("a", -1.0, 0.25), ("b", -9.0, 0.5), ("c", -1.0, -1.0)], 1),
        ([("a", -3.0, 0.5), ("b", -2.0, 0.5), ("c", -1.0, 0.25)], 1),
        ([("a", -2.0, 0.5), ("b", -2.0, 0.5)], 0),
        ([("a", -1.0, None), ("b", None, -7.0)], 1),
        ([("a", None, None), ("b", -8.0, None)], 1),
    ],
)
def test_value_decides_then_likelihood_then_order(candidates: list[tuple[str, Any, Any]], index: int) -> None:
    assert most_valuable([Candidate(*candidate) for candidate in candidates]) == index


@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])
def test_the_candidate_of_highest_value_is_said(architecture: str, tokenizer: Any) -> None:
    agent = make_agent(architecture, tokenizer, k=4, temperature=4.0 if architecture == "gemma2" else 1.0)
    played = rollout(Babble, agent=agent, episodes=4, batch_size=3)
    assert max(len(step.candidates) for episode in played for step in episode.steps) == 4
    for trajectory in played:
        check(agent, trajectory)


def test_candidates_for_one_turn_of_a_message_are_compared_before_the_token_that_ends_it(tokenizer: Any) -> None:
    agent = make_agent("llama", tokenizer, k=4)
    played = rollout(Lines, agent=agent, episodes=5, batch_size=3)
    assert {step.continues_message for episode in played for step in episode.steps} == {False, True}
    for trajectory in played:
        check(agent, trajectory, Lines.stop)


def test_equal_candidates_count_once(tokenizer: Any) -> None:
    agent = make_agent("llama", tokenizer, k=6, temperature=0.5, max_new_tokens=1)
    (trajectory,) = rollout(Babble, agent=agent, episodes=1)
    assert min(len(step.candidates) for step in trajectory.steps) < 6
    assert {sum(candidate.count for candidate in step.candidates) for step in trajectory.steps} == {6}
    check(agent, trajectory)


def test_best_of_one_is_sampling(tokenizer: Any) -> None:
    best = rollout(Babble, agent=make_agent("llama", tokenizer, k=1), episodes=6, batch_size=4)
    sampler = LanguageModelAgent(EpisodeReader(make_model("llama"), tokenizer, max_new_tokens=5))
    sampled = rollout(Babble, agent=sampler, episodes=6, batch_size=4)
    for one, other in zip(best, sampled, strict=True):
        assert [step.text for step in one.steps] == [step.text for step in other.steps]
        for first, second in zip(one.steps, other.steps, strict=True):
            assert first.log_prob == pytest.approx(second.log_prob, abs=1e-6)


def test_greedy_has_one_candidate(tokenizer: Any) -> None:
    (trajectory,) = rollout(Babble, agent=make_agent("llama", tokenizer, k=3, temperature=0.0), episodes=1)
    assert {len(step.candidates) for step in trajectory.steps} == {1}


def test_it_does_not_depend_on_the_batch(tokenizer: Any) -> None:
    played = [
        rollout(Babble, agent=make_agent("qwen2", tokenizer, k=3), episodes=6, batch_size=size) for size in (1, 6)
    ]
    assert [[s.text for s in episode.steps] for episode in played[0]] == [
        [s.text for s in episode.steps] for episode in played[1]
    ]


def test_where_all_values_are_equal_the_likeliest_is_said(tokenizer: Any) -> None:
    agent = make_agent("llama", tokenizer, k=4)
    torch.nn.init.zeros_(agent.value_reader.cache.model.score.weight)
    torch.nn.init.zeros_(agent.value_reader.cache.model.score.bias)
    for trajectory in rollout(Babble, agent=agent, episodes=3):
        for step in trajectory.steps:
            assert step.log_prob == max(candidate.log_prob or 0.0 for candidate in step.candidates)


def test_a_value_model_of_another_vocabulary_is_refused(tokenizer: Any) -> None:
    value = make_model("llama", value=True, vocab_size=70)
    with pytest.raises(DataError, match="65 tokens and the value model 70"):
        EpisodeReader(make_model("llama"), tokenizer, value=value)


def test_what_was_read_of_the_chosen_turn_is_not_read_again(tokenizer: Any) -> None:
    """Each cache goes on from the chosen candidate: what is new is the end of the turn and the observation."""
    agent = make_agent("llama", tokenizer, k=4)
    read: list[tuple[int, int]] = []

    def counting(cache: Any) -> None:
        whole = cache.read

        def reading(histories: Any) -> Any:
            for cached, history in zip(cache._ids, histories, strict=True):
                shared = next(
                    (at for at, pair in enumerate(zip(cached, history, strict=False)) if pair[0] != pair[1]), None
                )
                assert shared is None, "something that was read is not part of the episode"
                if cached:
                    read.append((len(history) - len(cached), len(history)))
            return whole(histories)

        cache.read = reading

    counting(agent.reader.policy)
    counting(agent.value_reader.cache)
    (trajectory,) = rollout(Babble, agent=agent, episodes=1)
    steps = trajectory.steps
    longest = [len(agent.reader.contexts.format.between(step.observation)) + 2 for step in steps[1:]]
    assert len(read) == 2 * len(longest) > 4
    for (new, _), most in zip(read, [length for length in longest for _ in range(2)], strict=True):
        assert new <= most


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_nucleus_leaves_only_the_likeliest_where_it_is_small(temperature: float, tokenizer: Any) -> None:
    settings = ({"temperature": 0.0}, {"temperature": temperature, "top_p": 1e-6}, {"temperature": temperature})
    greedy, narrow, wide = (
        LanguageModelAgent(EpisodeReader(make_model("llama"), tokenizer, max_new_tokens=5, **setting))
        for setting in settings
    )
    texts = [
        [[step.text for step in episode.steps] for episode in rollout(Babble, agent=agent, episodes=3)]
        for agent in (greedy, narrow, wide)
    ]
    assert texts[0] == texts[1] != texts[2]
