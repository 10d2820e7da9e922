"""Choosing among the commands that the environment accepts now, by how likely the policy finds each of them.

Nothing is sampled token by token: the likelihood of every command is read off in one pass over their tree (tries.py).
With K > 1 the value model decides between the K most likely, or K drawn without replacement at a temperature above 0,
read as in best_of_k.py. The K likeliest may be very unlikely, and a value model is no good at states that nobody was
in: with the quickstart's models the likeliest command wins 171 of 200 held-out games, the most valuable of three 20.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from oreo.agents.agent import Decision, Episode
from oreo.agents.language_model import LanguageModelAgent, _Story, check_same_tokens
from oreo.errors import UsageError
from oreo.trajectory import Candidate


class AdmissibleAgent(LanguageModelAgent):
    """Says an admissible command, the likeliest or the most valuable of the K likeliest; all others stay in view."""

    def __init__(self, policy: Any, tokenizer: Any, *, value: Any = None, k: int = 1, **settings: Any) -> None:
        """Args:
        policy, tokenizer, value, settings: as of `LanguageModelAgent`. The temperature divides the commands'
            log-likelihoods, not the tokens'; 0 takes the likeliest.
        k: commands to choose from by value.
        """
        if k < 1:
            raise UsageError(f"k is at least 1, got {k}")
        if k > 1:
            check_same_tokens(policy, value)
        super().__init__(policy, tokenizer, value=value, **settings)
        if self.top_p < 1:
            raise UsageError("top_p is for sampled text; among admissible commands use temperature and best_of")
        self.k = k

    @property
    def name(self) -> str:
        return f"admissible({self._settings()}, best_of={self.k})" if self.k > 1 else f"admissible({self._settings()})"

    def _choose(
        self,
        episodes: Sequence[Episode],
        stories: Sequence[_Story],
        logits: Tensor,
        values: Sequence[float | None],
    ) -> list[Decision]:
        commands = [
            [] if story.full else commands_of(episode.info) for episode, story in zip(episodes, stories, strict=True)
        ]
        ids = [[self.format.turn(command) for command in each] for each in commands]
        scores = self.policy.score(logits, ids)
        picked = [
            self._pick(score, episode.rng.random(len(score))) for score, episode in zip(scores, episodes, strict=True)
        ]
        worth = self._worth(ids, picked, values)
        best = [max(each, key=lambda index: each[index], default=0) for each in worth]
        said = [each[index][:-1] if each else [] for each, index in zip(ids, best, strict=True)]
        self.policy.settle(best, said)
        if self.k > 1 and self.value is not None:
            # `weigh` was told of the picked ones only, and not of those without tokens.
            asked = [[index for index in each if len(row[index]) > 1] for row, each in zip(ids, picked, strict=True)]
            place = [each.index(index) if index in each else 0 for each, index in zip(asked, best, strict=True)]
            self.value.settle(place, said)
        return [
            _decision(each, score, value, chosen, here)
            for each, score, value, chosen, here in zip(commands, scores, worth, best, values, strict=True)
        ]

    def _pick(self, score: np.ndarray, uniform: np.ndarray) -> list[int]:
        """The K commands to choose from, the best first. Adding Gumbel noise draws them without replacement."""
        if self.temperature > 0:
            score = score / self.temperature - np.log(-np.log(np.clip(uniform, 1e-300, 1 - 2.0**-53)))
        return np.argsort(-score, kind="stable")[: self.k].tolist()

    def _worth(
        self, ids: list[list[list[int]]], picked: list[list[int]], values: Sequence[float | None]
    ) -> list[dict[int, float]]:
        """What each picked command is worth, by its index; ties go to the first picked."""
        if self.k == 1 or self.value is None:
            return [dict.fromkeys(each, 0.0) for each in picked]
        asked = [[row[index][:-1] for index in each] for row, each in zip(ids, picked, strict=True)]
        found = iter([float(each[0]) for row in self.value.weigh([[x for x in r if x] for r in asked]) for each in row])
        return [
            {index: next(found) if tokens else float(here or 0.0) for index, tokens in zip(each, row, strict=True)}
            for each, row, here in zip(picked, asked, values, strict=True)
        ]


def commands_of(info: dict[str, Any]) -> list[str]:
    """What an environment accepts now, each command once. Raises UsageError where it does not say."""
    commands = info.get("admissible_commands")
    if commands is None:
        raise UsageError(
            "choose='admissible' needs an environment that says which commands it accepts (info['admissible_commands'])"
        )
    return list(dict.fromkeys(commands))


def _decision(
    commands: list[str], scores: np.ndarray, worth: dict[int, float], best: int, value: float | None
) -> Decision:
    if not commands:
        return Decision("", value=value)
    weighed = len(worth) > 1
    candidates = tuple(
        Candidate(command, float(score), worth.get(index) if weighed else None)
        for index, (command, score) in enumerate(zip(commands, scores, strict=True))
    )
    return Decision(commands[best], log_prob=float(scores[best]), value=value, candidates=candidates)
