"""oreo.agents.random: any admissible command, or any text."""

from __future__ import annotations

from typing import Any

from helpers.errand import COMMANDS, Errand
from oreo.agents.random import RandomAgent
from oreo.rollouts.loop import rollout


def test_the_random_agent_says_what_is_admissible() -> None:
    played = rollout(Errand, agent="random", episodes=10)
    assert {step.action for episode in played for step in episode.steps} == set(COMMANDS)


class Mute(Errand):
    def info(self) -> dict[str, Any]:
        return {}


def test_the_random_agent_says_anything_where_nothing_is_known_and_the_same_again_with_the_same_seed() -> None:
    one, two, other = (
        [
            [step.action for step in episode.steps]
            for episode in rollout(Mute, agent=RandomAgent(), episodes=2, seed=seed)
        ]
        for seed in (1, 1, 2)
    )
    assert one == two != other
