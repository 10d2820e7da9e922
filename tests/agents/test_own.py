"""Agents of the user's own: found by file, module or entry point, and told in one line what is wrong with them."""

from __future__ import annotations

import importlib.metadata
from pathlib import Path
from typing import Any

import pytest

from helpers.errand import Errand
from oreo.agents import AgentConfig, load_agent
from oreo.agents.loading import acting
from oreo.agents.own import is_own
from oreo.errors import EngineError, UsageError
from oreo.rollouts.loop import rollout

EXAMPLE = f"{Path(__file__).parents[2] / 'examples' / 'greedy_agent.py'}:Greedy"
OWN = """
from oreo.agents import Decision

class Set:
    checkpoint = ""
    def __init__(self, word="look"):
        self.word, self.name = word, f"set({word})"
    def act(self, episodes):
        return [Decision(self.word) for _ in episodes]

class Nameless:
    checkpoint = ""
    def act(self, episodes):
        return [Decision("look") for _ in episodes]

class Numbered(Nameless):
    name = 5

class Idle:
    name = "idle"
    checkpoint = ""

class Failing(Idle):
    def act(self, episodes):
        raise RuntimeError("out of\\nideas")

class Unmakable(Set):
    def __init__(self):
        raise ValueError("no licence")

VALUE = 5
"""


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "own_agent.py"
    path.write_text(OWN)
    return str(path)


def test_the_example_says_the_first_command_that_it_has_not_said() -> None:
    (trajectory,) = rollout(Errand, agent=EXAMPLE, episodes=1, max_steps=6)
    first = ["go to shelf 1", "take cup 1 from shelf 1", "open box 2", "look", "go to shelf 1", "go to shelf 1"]
    assert [step.action for step in trajectory.steps] == first
    assert (trajectory.agent, trajectory.checkpoint) == ("greedy", "")


def test_a_class_takes_its_arguments(file: str) -> None:
    agent = load_agent(f"{file}:Set", arguments={"word": "jump"})
    assert rollout(Errand, agent=agent, episodes=1, max_steps=1)[0].steps[0].action == "jump"
    assert agent.name == "set(jump)" and acting(f"{file}:Set", AgentConfig()) == AgentConfig()


def test_a_module_and_an_entry_point_name_agents_too(
    tmp_path: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    assert load_agent("own_agent:Set").name == "set(look)"
    point = importlib.metadata.EntryPoint("setter", "own_agent:Set", "oreo.agents")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda *, group: [point] if group == point.group else [])
    assert load_agent("setter").name == "set(look)"


@pytest.mark.parametrize(
    ("spec", "own"),
    [
        ("a/b.py:C", True),
        ("b.py", True),
        ("a.b:C", True),
        ("served:m", True),  # asked after those prefixes
        ("tiny", False),
        ("some/model", False),
        (r"C:\models\x", False),
        ("runs/2026:01", False),
        (":", False),
    ],
)
def test_a_model_is_not_taken_for_an_agent_of_the_users_own(spec: str, own: bool) -> None:
    assert is_own(spec) is own


@pytest.mark.parametrize(
    ("name", "settings", "error", "message"),
    [
        ("Nmeless", {}, UsageError, "own_agent.py: there is no 'Nmeless' in it; .*did you mean 'Nameless'"),
        ("Nameless", {}, UsageError, "Nameless has no name: an agent has a name and a checkpoint"),
        ("Numbered", {}, UsageError, "Numbered has name=5; expected a str"),
        ("Idle", {}, UsageError, r"Idle is no agent: it has no method act\(episodes\)"),
        ("VALUE", {}, UsageError, "VALUE: expected a class of agents, got 5"),
        (
            "Unmakable",
            {},
            UsageError,
            r"Unmakable cannot be made with {}: ValueError: no licence \(.*own_agent.py, line \d+",
        ),
        ("Set", {"arguments": {"wrd": "x"}}, UsageError, "cannot be made with {'wrd': 'x'}: TypeError"),
        ("Set", {"temperature": 0.5}, UsageError, "temperature does nothing for agent .*it is for language models"),
        ("Set", {"k": 5}, UsageError, "k does nothing"),
    ],
)
def test_what_is_wrong_with_a_class_is_said_in_one_line(
    file: str, name: str, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message) as failure:
        load_agent(f"{file}:{name}", **settings)
    assert "\n" not in str(failure.value)


def test_an_agent_that_fails_is_named_with_the_line_it_failed_in(file: str) -> None:
    with pytest.raises(
        EngineError, match=r"^agent idle failed: RuntimeError: out of ideas \(.*own_agent.py, line 25\)$"
    ):
        rollout(Errand, agent=f"{file}:Failing", episodes=2)


def test_an_object_without_act_is_no_agent() -> None:
    with pytest.raises(UsageError, match="dict is no agent"):
        rollout(Errand, agent={"act": 5}, episodes=1)  # type: ignore[arg-type]
