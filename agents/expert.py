"""The environment's own expert, made to stumble on request."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from oreo.agents.agent import Decision, Episode
from oreo.agents.random import random_action
from oreo.agents.settings import AgentConfig
from oreo.envs.text_env import ask_expert
from oreo.errors import UsageError


class ExpertAgent:
    """Plays `env.unwrapped.expert_action()`.

    With `noise`, that share of its actions is replaced: half by another admissible command, half by a text that the
    environment refuses. These steps, and those of the expert's own that are refused, are marked `imitate=False`: who
    learns from them learns the recovery, not the stumble. (Imitating flawless play, a model that makes its first
    mistake stands where no example ever stood.)
    """

    uses = frozenset({"noise"})
    """Fields of `AgentConfig`."""
    checkpoint = ""

    @classmethod
    def build(cls, config: AgentConfig) -> ExpertAgent:
        return cls(config.noise)

    def __init__(self, noise: float = 0.0) -> None:
        if not 0 <= noise <= 1:
            raise UsageError(f"noise is a probability, from 0 to 1, got {noise}")
        self.noise = noise

    @property
    def name(self) -> str:
        return f"expert(noise={self.noise})" if self.noise else "expert"

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        return [self._decide(episode) for episode in episodes]

    def _decide(self, episode: Episode) -> Decision:
        # Asked for even where it is replaced, so that an expert that keeps count of its turns sees every one.
        action = ask_expert(episode.env)
        if self.noise and episode.rng.random() < self.noise:
            stumble = random_action if episode.rng.random() < 0.5 else _refused
            return Decision(stumble(episode), imitate=False)
        commands = episode.info.get("admissible_commands")
        return Decision(action, imitate=commands is None or action in commands)


def _refused(episode: Episode) -> str:
    """A command with one word exchanged for one of another command, or with its last word lost, that is refused.

    It looks like what a model writes when it errs. Where nothing is known of what is refused: a random text.
    """
    commands = episode.info.get("admissible_commands")
    if not commands:
        return random_action(episode)
    admissible = set(commands)
    for _ in range(20):
        words = _one_of(episode.rng, commands).split()
        if len(words) < 2 or episode.rng.random() < 0.2:
            words = words[:-1]
        else:
            words[int(episode.rng.integers(1, len(words)))] = _one_of(
                episode.rng, _one_of(episode.rng, commands).split()
            )
        text = " ".join(words)
        if text and text not in admissible:
            return text
    return "do nothing in particular"


def _one_of(rng: np.random.Generator, words: Sequence[str]) -> str:
    return str(words[int(rng.integers(len(words)))])
