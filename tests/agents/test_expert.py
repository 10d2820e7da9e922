"""oreo.agents.expert: the environment's own expert, with noise and without."""

from __future__ import annotations

import pytest

from helpers.errand import Errand
from helpers.word_models import Babble
from oreo.agents.expert import ExpertAgent
from oreo.errors import UsageError
from oreo.rollouts.loop import rollout


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


def test_an_environment_without_expert_says_so() -> None:
    with pytest.raises(UsageError, match="Babble has no expert"):
        rollout(Babble, agent="expert", episodes=1)
