"""Any admissible command where the environment says which there are, any text where it does not."""

from __future__ import annotations

from collections.abc import Sequence

from oreo.agents.agent import Decision, Episode
from oreo.agents.settings import AgentConfig


class RandomAgent:
    """Uniform over the admissible commands."""

    uses: frozenset[str] = frozenset()
    """Fields of `AgentConfig`."""
    name = "random"
    checkpoint = ""

    @classmethod
    def build(cls, config: AgentConfig) -> RandomAgent:
        return cls()

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        return [Decision(random_action(episode)) for episode in episodes]


def random_action(episode: Episode) -> str:
    """Drawn with the episode's own randomness."""
    commands = episode.info.get("admissible_commands")
    if commands:
        return str(commands[int(episode.rng.integers(len(commands)))])
    episode.env.action_space.seed(int(episode.rng.integers(1 << 32)))
    return str(episode.env.action_space.sample())
