"""The random agent, the expert, and making agents from words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from oreo.agents import load_agent
from oreo.agents.expert import ExpertAgent
from oreo.agents.random import RandomAgent
from oreo.envs.text_env import TextEnv
from oreo.errors import DataError, UsageError
from oreo.rollouts.loop import rollout

from .conftest import Babble, make_model

COMMANDS = ["go to shelf 1", "take cup 1 from shelf 1", "open box 2", "look"]


class Errand(TextEnv):
    """Wants "look" eight times."""

    max_steps = 40

    def start(self, rng: np.random.Generator) -> str:
        self.left = 8
        self.valid = True
        return "You are here."

    def act(self, text: str) -> tuple[str, float, bool]:
        self.valid = text in COMMANDS
        self.left -= text == "look"
        return ("Yes." if self.valid else "Nothing happens."), float(self.left == 0), self.left == 0

    def info(self) -> dict[str, Any]:
        return {"admissible_commands": COMMANDS, "action_valid": self.valid}

    def expert_action(self) -> str:
        return "look"


def test_the_expert_wins() -> None:
    (trajectory,) = rollout(Errand, agent="expert", episodes=1)
    assert trajectory.won and len(trajectory) == 8 and trajectory.agent == "expert"
    assert all(step.imitate for step in trajectory.steps)


def test_noise_replaces_its_share_half_by_other_commands_and_half_by_refused_ones() -> None:
    played = rollout(Errand, agent=ExpertAgent(noise=0.4), episodes=60)
    steps = [step for trajectory in played for step in trajectory.steps]
    noisy = [step for step in steps if not step.imitate]
    refused = [step for step in noisy if not step.action_valid]
    assert len(noisy) / len(steps) == pytest.approx(0.4, abs=0.06)
    assert len(refused) / len(noisy) == pytest.approx(0.5, abs=0.1)
    assert all(step.action == "look" for step in steps if step.imitate)
    assert len({step.action for step in refused}) > 10
    assert played[0].agent == "expert(noise=0.4)"


def test_what_an_expert_says_and_the_environment_refuses_is_not_to_be_imitated() -> None:
    class Stubborn(Errand):
        """Its expert says what it does not accept now and then."""

        def expert_action(self) -> str:
            self.asked = getattr(self, "asked", 0) + 1
            return "jump" if self.asked % 3 == 0 else "look"

    (trajectory,) = rollout(Stubborn, agent="expert", episodes=1)
    assert {(step.action, step.imitate) for step in trajectory.steps} == {("look", True), ("jump", False)}


def test_the_random_agent_says_what_is_admissible() -> None:
    played = rollout(Errand, agent="random", episodes=10)
    assert {step.action for each in played for step in each.steps} == set(COMMANDS)


class Mute(Errand):
    def info(self) -> dict[str, Any]:
        return {}


def test_the_random_agent_says_anything_where_nothing_is_known_and_the_same_again_with_the_same_seed() -> None:
    one, two, other = (
        [[step.action for step in each.steps] for each in rollout(Mute, agent=RandomAgent(), episodes=2, seed=seed)]
        for seed in (1, 1, 2)
    )
    assert one == two != other


def test_an_environment_without_expert_says_so() -> None:
    with pytest.raises(UsageError, match="Babble has no expert"):
        rollout(Babble, agent="expert", episodes=1)


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Any:
    path = tmp_path_factory.mktemp("trained")
    make_model("llama").save_pretrained(path / "policy")
    tokenizer.save_pretrained(path / "policy")
    make_model("llama", value=True).save_pretrained(path / "value")
    return path


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
