"""Throws of dice until a six, and somebody who talks to them."""

from __future__ import annotations

from typing import Any

import numpy as np

from oreo.agents.agent import Decision, Episode
from oreo.envs.text_env import TextEnv
from oreo.trajectory import Candidate

CLOSED: list[int] = []


class Dice(TextEnv):
    """Ends when a six is thrown."""

    max_steps = 9

    def __init__(self, faces: int = 6, breaks_on: int = 0) -> None:
        super().__init__()
        self.faces, self.breaks_on = faces, breaks_on

    def start(self, rng: np.random.Generator, game: str = "plain") -> str:
        self.rng, self.game = rng, game
        return f"seed {int(rng.integers(1000))}"

    def act(self, text: str) -> tuple[str, float, bool]:
        thrown = int(self.rng.integers(1, self.faces + 1))
        if thrown == self.breaks_on:
            raise ZeroDivisionError("the die\nbroke")
        return f"{text}: {thrown}", float(thrown == 6), thrown == 6

    def info(self) -> dict[str, Any]:
        return {"game": self.game, "task_type": "dice", "action_valid": True, "admissible_commands": ["a", "b"]}

    def close(self) -> None:
        CLOSED.append(1)


class Chatter:
    """Says a random number, and notes how many it is asked for at once."""

    name, checkpoint = "chatter", "0123456789abcdef"

    def __init__(self) -> None:
        self.asked: list[int] = []

    def act(self, episodes: Any) -> list[Decision]:
        self.asked.append(len(episodes))
        return [self._decide(episode) for episode in episodes]

    def _decide(self, episode: Episode) -> Decision:
        word = str(episode.rng.integers(100))
        candidates = (Candidate(word, -1.0, 0.5),)
        return Decision(word, turn=f"Action: {word}", log_prob=-1.0, value=0.25, candidates=candidates)
