"""How options of the command line become settings of an agent and arguments of an environment."""

from __future__ import annotations

import dataclasses
from typing import Any, get_type_hints

import pytest

from oreo.agents import AgentConfig
from oreo.agents.registry import CHOICES
from oreo.cli.options import AgentOptions, EnvOptions, agent_settings
from oreo.errors import UsageError


def test_only_what_was_said_is_set() -> None:
    assert AgentOptions().config() == AgentConfig()
    options = AgentOptions(agent_arg=["max_new_tokens=9"], temperature=0.0)
    assert options.config() == AgentConfig(temperature=0.0, max_new_tokens=9)
    assert agent_settings(["value=folder"], device=None, noise=0.5) == {"value": "folder", "noise": 0.5}


def test_every_option_is_a_field_of_the_config_under_its_own_name() -> None:
    options = {field.name for field in dataclasses.fields(AgentOptions)} - {"best_of", "agent_arg"}
    assert options <= {field.name for field in dataclasses.fields(AgentConfig)}
    assert all(field.default is None for field in dataclasses.fields(AgentOptions)), "defaults are the config's"


def test_best_of_is_short_for_a_way_to_choose_and_its_k() -> None:
    assert AgentOptions(best_of=5).config() == AgentConfig(choose="best-of", k=5)
    assert AgentOptions(best_of=5, choose="best-of").config() == AgentConfig(choose="best-of", k=5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"best_of": 5, "choose": "plan"}, "--best-of 5 is short for .*; with --choose plan leave it out"),
        ({"best_of": 5, "k": 3}, "with --k 3 leave it out"),
        ({"agent_arg": ["temperature=1"], "temperature": 0.5}, "give --temperature"),
        ({"agent_arg": ["max_new_tokns=9"]}, "did you mean 'max_new_tokens'"),
        ({"agent_arg": ["search=beam"]}, "--choose beam"),
        ({"agent_arg": ["best_of=4"]}, "--best-of 4"),
        ({"agent_arg": ["lookahead=2"]}, "--choose plan --depth 2"),
        ({"agent_arg": ["choose=text"]}, "choose 'text' is unknown"),
        ({"k": 0}, "^k is 0; expected 1 or more$"),
        ({"best_of": 0}, "^k is 0; expected 1 or more$"),
        ({"top_p": 1.5}, "^top_p is 1.5; expected a number above 0 and at most 1$"),
        ({"agent_arg": ["top_p=1.5"]}, "^top_p is 1.5; expected a number above 0 and at most 1$"),
        ({"noise": -0.1}, "^noise is -0.1; expected a number from 0 to 1$"),
    ],
)
def test_what_is_wrong_or_said_twice_is_refused_in_one_line(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as failure:
        AgentOptions(**options).config()
    assert "\n" not in str(failure.value)


@pytest.mark.parametrize(
    ("options", "temperature"),
    [({}, 0.0), ({"best_of": 3}, 1.0), ({"temperature": 0.5}, 0.5), ({"agent_arg": ["temperature=1"]}, 1.0)],
)
def test_what_is_evaluated_or_watched_is_greedy_unless_told_or_samples_are_to_differ(
    options: dict[str, Any], temperature: float
) -> None:
    assert AgentOptions(**options).acting_config("tiny").temperature == temperature


def test_the_help_names_every_way_to_choose_of_the_registry() -> None:
    (option,) = get_type_hints(AgentOptions, include_extras=True)["choose"].__metadata__
    assert option.metavar == "|".join(CHOICES)
    assert all(f"{word}: {entry.help}" in option.help for word, entry in CHOICES.items())


def test_an_environment_is_made_with_what_was_said_and_key_values_count_as_well() -> None:
    world = EnvOptions(split="train", env_arg=["max_objects=8", "goals=human", "realistic=True"])
    arguments = {"split": "train", "max_objects": 8, "goals": "human", "realistic": True}
    assert world.arguments() == arguments
    assert world.arguments(expert="planner") == {**arguments, "expert": "planner"}
    assert EnvOptions().arguments(expert=None) == {}
    with pytest.raises(UsageError, match="--env-arg 'goals': expected KEY=VALUE"):
        EnvOptions(env_arg=["goals"]).arguments()
