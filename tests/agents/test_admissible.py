"""Choosing among admissible commands: their likelihoods are those of plain passes, whoever shares the batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from helpers.word_models import ARCHITECTURES, WORDS, Babble, make_model
from oreo.agents.admissible import AdmissibleAgent
from oreo.agents.reading import EpisodeReader
from oreo.envs.text_env import TextEnv
from oreo.errors import DataError, UsageError
from oreo.rollouts.loop import rollout
from oreo.trajectory import Step, Trajectory

from .test_best_of_k import plain, prefix_of


class Menu(Babble):
    """Accepts other commands at each step; many begin alike, one is there twice, one is the beginning of another."""

    def act(self, text: str) -> tuple[str, float, bool]:
        assert text in self.menu
        return super().act(text)

    def info(self) -> dict[str, Any]:
        words = [str(word) for word in self.rng.choice(WORDS, 6)]
        self.menu = [f"w1 w2 {word}" for word in words] + ["w1", "w1 w2", words[0], words[0], "w1 w2 w3 w4 w5"]
        return {"admissible_commands": list(self.menu)}


def make_agent(architecture: str, tokenizer: Any, k: int = 1, **settings: Any) -> AdmissibleAgent:
    policy, value = make_model(architecture), make_model(architecture, seed=1, value=True)
    own = {"beta": settings.pop("beta")} if "beta" in settings else {}
    return AdmissibleAgent(EpisodeReader(policy, tokenizer, value=value, **settings), k=k, **own)


def check(agent: AdmissibleAgent, trajectory: Trajectory) -> None:
    """Every command's log-probability, and the value of those that were weighed, from one plain pass for each."""
    value = agent.reader.needed_value_reader().cache.model
    for index, step in enumerate(trajectory.steps):
        prefix = prefix_of(agent.reader.contexts.format, trajectory.steps[: index + 1])
        assert [candidate.text for candidate in step.candidates] == list(dict.fromkeys(step.admissible_commands or ()))
        for candidate in step.candidates:
            ids = agent.reader.contexts.format.turn(candidate.text)
            log_probs = plain(agent.reader.policy.model, prefix + ids)[len(prefix) - 1 : -1].log_softmax(-1)
            expected = sum(float(log_probs[at, token]) for at, token in enumerate(ids))
            assert candidate.log_prob == pytest.approx(expected, abs=3e-4)
            if candidate.value is not None:
                worth = float(plain(value, prefix + ids[:-1])[-1, 0])
                assert candidate.value == pytest.approx(worth, abs=1e-4)
        assert step.value == pytest.approx(float(plain(value, prefix)[-1, 0]), abs=1e-4)


def likeliest(step: Step, count: int) -> list[str]:
    ordered = sorted(step.candidates, key=lambda candidate: -(candidate.log_prob or 0.0))
    return [candidate.text for candidate in ordered[:count]]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_the_likeliest_command_is_said(architecture: str, tokenizer: Any) -> None:
    agent = make_agent(architecture, tokenizer, temperature=0.0)
    for trajectory in rollout(Menu, agent=agent, episodes=4, batch_size=3):
        check(agent, trajectory)
        for step in trajectory.steps:
            assert [step.text] == likeliest(step, 1)


@pytest.mark.parametrize("beta", [0.0, 0.03, 10.0])
@pytest.mark.parametrize("architecture", ["llama", "gpt2", "gemma2"])
def test_with_value_the_best_of_the_likeliest_by_both_is_said(architecture: str, beta: float, tokenizer: Any) -> None:
    agent = make_agent(architecture, tokenizer, k=3, temperature=0.0, beta=beta)
    for trajectory in rollout(Menu, agent=agent, episodes=4, batch_size=3):
        check(agent, trajectory)
        for step in trajectory.steps:
            weighed = [candidate for candidate in step.candidates if candidate.value is not None]
            assert {candidate.text for candidate in weighed} == set(likeliest(step, 3))
            assert (
                step.text
                == max(weighed, key=lambda option: (option.value or 0.0) + beta * (option.log_prob or 0.0)).text
            )
            if beta == 10:
                assert [step.text] == likeliest(step, 1)


@pytest.mark.parametrize("k", [1, 3])
def test_it_does_not_depend_on_the_batch(k: int, tokenizer: Any) -> None:
    played = [rollout(Menu, agent=make_agent("qwen2", tokenizer, k=k), episodes=6, batch_size=size) for size in (1, 6)]
    assert [[s.text for s in episode.steps] for episode in played[0]] == [
        [s.text for s in episode.steps] for episode in played[1]
    ]


def test_a_model_that_is_read_again_chooses_alike(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from oreo.agents.rereading import Rereading

    cached = rollout(Menu, agent=make_agent("llama", tokenizer, k=2), episodes=3)
    agent = make_agent("llama", tokenizer, k=2)
    reader, value = agent.reader, agent.reader.needed_value_reader()
    reader.policy, value.cache = Rereading(reader.policy.model), Rereading(value.cache.model)
    again = rollout(Menu, agent=agent, episodes=3)
    assert [[s.text for s in episode.steps] for episode in cached] == [
        [s.text for s in episode.steps] for episode in again
    ]
    for trajectory in again:
        check(agent, trajectory)


def test_at_a_temperature_commands_come_up_as_often_as_they_are_likely(tokenizer: Any) -> None:
    agent = make_agent("llama", tokenizer, temperature=2.0)
    score = np.log([0.5, 0.25, 0.16, 0.09])
    rng = np.random.default_rng(0)
    drawn = np.array([agent._pick(score, rng.random(4))[0] for _ in range(20_000)])
    expected = np.exp(score / 2) / np.exp(score / 2).sum()
    assert np.bincount(drawn) / len(drawn) == pytest.approx(expected, abs=0.012)


def test_scoring_in_several_passes_gives_the_same(tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = rollout(Menu, agent=make_agent("llama", tokenizer, temperature=0.0), episodes=4)
    monkeypatch.setattr("oreo.agents.ragged_cache._NUMBERS_AT_ONCE", 65 * 20)
    parts = rollout(Menu, agent=make_agent("llama", tokenizer, temperature=0.0), episodes=4)
    for one, other in zip(whole, parts, strict=True):
        assert [step.text for step in one.steps] == [step.text for step in other.steps]
        assert [s.log_prob for s in one.steps] == pytest.approx([s.log_prob for s in other.steps], abs=1e-4)


class Silent(TextEnv):
    """Does not say what it accepts."""

    def start(self, rng: np.random.Generator) -> str:
        return "w1"

    def act(self, text: str) -> tuple[str, float, bool]:
        return "w2", 0.0, True


class Stuck(Silent):
    """Accepts nothing at all."""

    def info(self) -> dict[str, Any]:
        return {"admissible_commands": []}


def test_an_environment_that_does_not_say_what_it_accepts_is_told_of(tokenizer: Any) -> None:
    with pytest.raises(UsageError, match="needs an environment that says which commands it accepts"):
        rollout(Silent, agent=make_agent("llama", tokenizer), episodes=1)
    (trajectory,) = rollout(Stuck, agent=make_agent("llama", tokenizer, k=2), episodes=1)
    assert [step.action for step in trajectory.steps] == [""]


def test_wrong_settings_are_refused(tokenizer: Any) -> None:
    with pytest.raises(UsageError, match="top_p is for sampled text"):
        make_agent("llama", tokenizer, top_p=0.9)
    with pytest.raises(UsageError, match="beta is 0 or more"):
        make_agent("llama", tokenizer, k=2, beta=-1)
    with pytest.raises(UsageError, match="k is at least 1"):
        make_agent("llama", tokenizer, k=0)
    with pytest.raises(DataError, match="do not belong together"):
        value = make_model("llama", value=True, vocab_size=70)
        EpisodeReader(make_model("llama"), tokenizer, value=value)


def test_torch_is_not_asked_for_gradients(tokenizer: Any) -> None:
    agent = make_agent("llama", tokenizer)
    rollout(Menu, agent=agent, episodes=1)
    assert torch.is_grad_enabled()
    assert all(parameter.grad is None for parameter in agent.reader.policy.model.parameters())
