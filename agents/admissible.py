"""Choosing among the commands that the environment accepts now, by how likely the policy finds each of them.

Nothing is sampled token by token: the likelihood of every command is read off in one pass over their tree (trie.py).
With K > 1 the value model has a say among the K most likely, or K drawn without replacement at a temperature above 0.
It is read as in best_of_k.py; but there candidates are the policy's own samples, while the K likeliest may be very
unlikely, and a value model is no good at states that nobody was in. So likelihood keeps its weight: the command with
the highest log π(a|s) + V(s, a) / β is said. That is the likeliest under the policy that OREO's values are about, of
which equation (3) says that π*(a|s) is in proportion to π_ref(a|s) exp(V(s, a) / β).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

from oreo.agents.agent import Decision, Episode
from oreo.agents.language_model import LanguageModelAgent, _Story, check_same_tokens, decoding
from oreo.agents.models import Models
from oreo.agents.settings import BETA, AgentConfig
from oreo.errors import UsageError
from oreo.trajectory import Candidate


class AdmissibleAgent(LanguageModelAgent):
    """Says an admissible command, by likelihood, or by likelihood and value; all others stay in view."""

    uses = frozenset({"k", "beta"})

    @classmethod
    def check(cls, config: AgentConfig) -> None:
        if config.beta != BETA and (config.k or 1) == 1:
            raise UsageError(f"beta={config.beta:g} weighs likelihood against value, which takes k above 1")

    @classmethod
    def needs_value(cls, config: AgentConfig) -> bool:
        return (config.k or 1) > 1

    @classmethod
    def build(cls, models: Models, config: AgentConfig) -> AdmissibleAgent:
        settings = decoding(models, config) | {"k": config.k or 1, "beta": config.beta}
        return cls(models.policy, models.tokenizer, value=models.value, **settings)

    def __init__(
        self, policy: Any, tokenizer: Any, *, value: Any = None, k: int = 1, beta: float = BETA, **settings: Any
    ) -> None:
        """Args:
        policy, tokenizer, value, settings: as of `LanguageModelAgent`. The temperature divides the commands'
            log-likelihoods, not the tokens'; 0 takes the likeliest.
        k: commands whose value counts.
        beta: how much value, in units of reward, a nat of log-likelihood is worth; 0: value alone.
        """
        if k < 1:
            raise UsageError(f"k is at least 1, got {k}")
        check_beta(beta)
        if k > 1:
            check_same_tokens(policy, value)
        super().__init__(policy, tokenizer, value=value, **settings)
        if self.top_p < 1:
            raise UsageError("top_p is for sampled text; among admissible commands use temperature and k")
        self.k, self.beta = k, beta

    @property
    def name(self) -> str:
        chosen = f", best_of={self.k}, beta={self.beta:g}" if self.k > 1 else ""
        return f"admissible({self._settings()}{chosen})"

    def _choose(
        self,
        episodes: Sequence[Episode],
        stories: Sequence[_Story],
        logits: Tensor,
        values: Sequence[float | None],
    ) -> list[Decision]:
        commands = [
            [] if story.full else self._sayable(story.ids, commands_of(episode.info))
            for episode, story in zip(episodes, stories, strict=True)
        ]
        ids = [[self._turn_ids(story, each) for each in row] for story, row in zip(stories, commands, strict=True)]
        scores = self.policy.score(logits, ids)
        picked = [
            self._pick(score, episode.rng.random(len(score))) for score, episode in zip(scores, episodes, strict=True)
        ]
        worth = self._worth(ids, picked, values)
        best = [
            max(
                each,
                key=lambda index: rank(float(score[index]), each[index], self.beta) if self.k > 1 else 0.0,
                default=0,
            )
            for each, score in zip(worth, scores, strict=True)
        ]
        said = [each[index][:-1] if each else [] for each, index in zip(ids, best, strict=True)]
        self.policy.settle(said)
        if self.k > 1 and self.value is not None:
            self.value.settle(said)
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


def rank(log_prob: float, value: float, beta: float) -> float:
    """What is maximised: β log π(a|s) + V(s, a)."""
    return beta * log_prob + value


def check_beta(beta: float) -> None:
    if not 0 <= beta < float("inf"):
        raise UsageError(f"beta is 0 or more, got {beta}")


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
