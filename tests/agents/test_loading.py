"""Making agents from words: what fits together, what is refused, and how a way to choose is added."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helpers.word_models import Babble
from oreo.agents import AgentConfig, load_agent
from oreo.agents.loading import acting
from oreo.agents.registry import CHOICES
from oreo.errors import DataError, UsageError
from oreo.rollouts.loop import rollout


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({}, "lm(temperature=1.0)"),
        ({"top_p": 0.9, "context": 60}, "lm(temperature=1.0, top_p=0.9, context=60)"),
        ({"choose": "best-of"}, "best_of_5(temperature=1.0)"),
        ({"choose": "best-of", "k": 3}, "best_of_3(temperature=1.0)"),
        ({"choose": "admissible"}, "admissible(temperature=1.0)"),
        ({"choose": "admissible", "k": 3, "beta": 0.5}, "admissible(temperature=1.0, best_of=3, beta=0.5)"),
        ({"choose": "plan"}, "planner(depth=1, width=5, text, temperature=1.0)"),
        (
            {"choose": "plan", "k": 2, "depth": 3, "proposals": "admissible"},
            "planner(depth=3, width=2, admissible, beta=0.03)",
        ),
        ({"choose": "beam"}, "beam(width=5, temperature=1.0)"),
        ({"choose": "best", "k": 2, "budget": 90}, "best(width=2, temperature=1.0, budget=90)"),
        ({"choose": "vote", "budget_steps": 4}, "vote(width=5, temperature=1.0, budget_steps=4)"),
    ],
)
def test_a_config_names_its_agent_as_it_always_was(folder: Path, settings: dict[str, Any], name: str) -> None:
    assert load_agent(str(folder), AgentConfig(**settings)).name == load_agent(str(folder), **settings).name == name


@pytest.mark.parametrize(
    ("spec", "settings", "message"),
    [
        ("random", {"temperature": 0.5}, "temperature does nothing for agent 'random': it is for language models"),
        ("random", {"noise": 0.1}, "noise does nothing for agent 'random': it is for expert"),
        ("expert", {"choose": "best-of"}, "choose does nothing for agent 'expert': it is for language models"),
        ("expert", {"k": 5}, "k does nothing .* it is for choose='best-of' and choose='admissible'"),
        ("tiny", {"noise": 0.1}, "noise does nothing for agent 'tiny' with choose='sample': it is for expert"),
        ("tiny", {"k": 5}, "k does nothing for agent 'tiny' with choose='sample': it is for choose='best-of'"),
        ("tiny", {"choose": "best-of", "beta": 1.0}, "beta does nothing .*choose='admissible' and choose='plan'"),
        ("tiny", {"choose": "beam", "depth": 2}, "depth does nothing .*it is for choose='plan'"),
        ("tiny", {"choose": "admissible", "top_p": 0.5}, "top_p does nothing"),
        ("tiny", {"choose": "admissible", "beta": 0.0}, "beta=0 weighs likelihood against value.* k above 1"),
        ("tiny", {"choose": "best-of", "temperature": 0.0}, "chooses among samples"),
        ("tiny", {"choose": "vote", "temperature": 0.0}, "chooses among samples"),
        ("tiny", {"choose": "plan", "temperature": 0.0}, "tries samples"),
        ("tiny", {"choose": "plan", "beta": 0.5}, "beta does nothing with proposals='sampled'"),
        ("tiny", {"choose": "plan", "proposals": "admissible", "top_p": 0.5}, "top_p does nothing with proposals="),
        ("tiny", {"engine": {}}, "engine does nothing .* it is for vllm:MODEL"),
        ("tiny", {"server": "http://127.0.0.1/v1"}, "server does nothing .* it is for served:MODEL"),
        ("served:m", {"choose": "plan"}, "choose='plan' is for models that are loaded here.*sample, best-of"),
        ("vllm:tiny", {"k": 2}, "k does nothing for agent 'vllm:tiny' with choose='sample'"),
        (5, {}, "agent 5: expected a word or a path"),
    ],
)
def test_what_would_do_nothing_is_refused_with_whom_it_is_for(
    spec: Any, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message) as failure:
        load_agent(spec, **settings)
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize("choose", [word for word in CHOICES if word not in ("sample", "admissible", "vote")])
def test_who_chooses_by_value_needs_a_value_model(choose: str) -> None:
    with pytest.raises(DataError, match=f"tiny has no value model to choose by, which choose='{choose}' takes"):
        load_agent("tiny", choose=choose)


def test_an_evaluated_agent_is_greedy_unless_samples_are_to_differ() -> None:
    temperatures = {word: acting("tiny", AgentConfig(choose=word)).temperature for word in CHOICES}
    assert {word for word, temperature in temperatures.items() if temperature == 0} == {"sample", "admissible"}
    assert acting("random", AgentConfig()) == AgentConfig()


@pytest.mark.parametrize("spec", ["{}", "vllm:{}"])
def test_a_value_played_as_a_policy_is_refused_with_the_policy_named(spec: str, folder: Path) -> None:
    with pytest.raises(DataError, match="gives values and writes no text; its policy is") as error:
        load_agent(spec.format(folder / "value"))
    assert str(error.value).endswith(str(folder / "policy")) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("spec", "settings"),
    [
        ("random", {"noise": 0.1}),
        ("random", {"choose": "best-of"}),
        ("expert", {"k": 2}),
        ("expert", {"noise": 2}),
        ("tiny", {"noise": 0.1}),
        ("tiny", {"choose": "best-of", "k": 0}),
    ],
)
def test_a_setting_that_does_not_fit_is_refused(spec: str, settings: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        load_agent(spec, **settings)


def test_a_trained_folder_is_an_agent_with_values(folder: Any) -> None:
    agent = load_agent(str(folder), temperature=0.5, max_new_tokens=4)
    (trajectory,) = rollout(Babble, agent=agent, episodes=1)
    assert trajectory.agent == "lm(temperature=0.5)"
    assert len(trajectory.checkpoint) == 16
    assert all(step.value is not None for step in trajectory.steps)
    assert load_agent(str(folder), choose="best-of", k=3).name == "best_of_3(temperature=1.0)"


def test_best_of_k_without_a_value_model_says_so(folder: Any) -> None:
    with pytest.raises(DataError, match="has no value model to choose by"):
        load_agent(str(folder / "policy"), choose="best-of", k=3)
    assert load_agent(str(folder / "policy"), choose="best-of", k=2, value=str(folder / "value")).name.startswith(
        "best_of_2"
    )
