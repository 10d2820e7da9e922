"""The record of an agent's settings: what it holds, and what it refuses."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from oreo.agents import AgentConfig
from oreo.agents.registry import CHOICES
from oreo.agents.settings import configure
from oreo.errors import UsageError


def test_only_what_was_changed_is_listed_and_makes_the_same_config_again() -> None:
    config = AgentConfig(choose="beam", k=3, stop=["\n", "."], temperature=1)
    assert config.changed() == {"choose": "beam", "k": 3, "stop": ("\n", ".")}
    assert AgentConfig(**config.changed()) == config == pickle.loads(pickle.dumps(config))
    assert AgentConfig().changed() == {}


def test_a_single_stop_is_a_list_of_one() -> None:
    assert AgentConfig(stop="\n").stop == ("\n",)


def test_settings_by_name_win_over_the_config() -> None:
    config = configure(AgentConfig(temperature=0.5, k=2), {"k": 3})
    assert (config.temperature, config.k) == (0.5, 3)


@pytest.mark.parametrize("word", CHOICES)
def test_every_word_of_the_registry_is_a_way_to_choose(word: str) -> None:
    assert AgentConfig(choose=word).choose == word


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"choose": "best_of"}, "choose 'best_of' is unknown; .*did you mean 'best-of'"),
        ({"choose": "text"}, "choose 'text' is unknown; choose='sample'"),
        ({"proposals": "text"}, "proposals 'text' is unknown; choose from sampled, admissible"),
        ({"api": "chatty"}, "did you mean 'chat'"),
        ({"k": 0}, "k is 0; expected 1 or more"),
        ({"k": 2.0}, "k is 2.0; expected a whole number"),
        ({"k": True}, "k is True; expected a whole number"),
        ({"k": "5"}, "k is '5'; expected a whole number"),
        ({"depth": 0}, "depth is 0"),
        ({"budget": 0}, "budget is 0"),
        ({"budget_steps": -1}, "budget_steps is -1"),
        ({"beta": -0.1}, "beta is -0.1; expected 0 or more"),
        ({"temperature": float("nan")}, "temperature is nan; expected a finite number"),
        ({"temperature": float("inf")}, "temperature is inf; expected a finite number"),
        ({"temperature": None}, "temperature is None; expected a finite number"),
        ({"top_p": 0}, "top_p is 0; expected a number above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"max_new_tokens": 0}, "max_new_tokens is 0"),
        ({"context": 20}, "context is 20; expected well above max_new_tokens=48"),
        ({"noise": 2}, "noise is 2; expected a number from 0 to 1"),
        ({"timeout": 0}, "timeout is 0; expected a number above 0"),
        ({"value": 5}, "value is 5; expected text"),
        ({"stop": [5]}, r"stop is \(5,\); expected text .* or a list"),
        ({"engine": "fast"}, "engine is 'fast'; expected arguments by name"),
        ({"engine": {1: 2}}, "engine is {1: 2}; expected arguments by name"),
        ({"trust_remote_code": "yes"}, "trust_remote_code is 'yes'; expected true or false"),
        ({"temprature": 1.0}, "unknown setting of an agent 'temprature'; .*did you mean 'temperature'"),
        ({"best_of": 5}, "best_of=5 is written otherwise: choose='best-of', k=5 .*--best-of 5"),
        ({"lookahead": 2}, "lookahead=2 is written otherwise: choose='plan', depth=2.*--choose plan --depth 2"),
        ({"search": "beam"}, "search='beam' is written otherwise: choose='beam'.*--choose beam"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as failure:
        configure(None, settings)
    assert "\n" not in str(failure.value)


def test_a_dict_is_no_config() -> None:
    with pytest.raises(UsageError, match="expected an AgentConfig, or settings by name"):
        configure({"k": 5}, {})  # type: ignore[arg-type]
