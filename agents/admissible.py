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
from typing import TYPE_CHECKING, Any

import numpy as np

from oreo.agents.agent import Decision, Episode
from oreo.agents.finite import check_numbers
from oreo.agents.models import Models
from oreo.agents.settings import BETA, AgentConfig
from oreo.errors import UsageError
from oreo.trajectory import Candidate

if TYPE_CHECKING:
    from oreo.agents.reading import EpisodeReader, Reading


class AdmissibleAgent:
    """Says an admissible command, by likelihood, or by likelihood and value; all others stay in view."""

    uses = frozenset({"k", "beta"})
    greedy = True

    @classmethod
    def check(cls, config: AgentConfig) -> None:
        if config.beta != BETA and (config.k or 1) == 1:
            raise UsageError(f"beta={config.beta:g} weighs likelihood against value, which takes k above 1")

    @classmethod
    def needs_value(cls, config: AgentConfig) -> bool:
        return (config.k or 1) > 1

    @classmethod
    def build(cls, models: Models, config: AgentConfig) -> AdmissibleAgent:
        from oreo.agents.reading import EpisodeReader

        reader = EpisodeReader.build(models, config)
        return cls(reader, k=config.k or 1, beta=config.beta, checkpoint=models.checkpoint)

    def __init__(self, reader: EpisodeReader, *, k: int = 1, beta: float = BETA, checkpoint: str = "") -> None:
        """Args:
        reader: the models. The temperature divides the commands' log-likelihoods, not the tokens'; 0 takes the
            likeliest.
        k: commands whose value counts; above 1 a value model is needed.
        beta: how much value, in units of reward, a nat of log-likelihood is worth; 0: value alone.
        checkpoint: as of `LanguageModelAgent`.
        """
        if k < 1:
            raise UsageError(f"k is at least 1, got {k}")
        check_beta(beta)
        if reader.sampler.top_p < 1:
            raise UsageError("top_p is for sampled text; among admissible commands use temperature and k")
        self.reader, self.k, self.beta, self.checkpoint = reader, k, beta, checkpoint
        self.value_reader = reader.needed_value_reader() if k > 1 else None

    @property
    def name(self) -> str:
        chosen = f", best_of={self.k}, beta={self.beta:g}" if self.k > 1 else ""
        return f"admissible({self.reader}{chosen})"

    def act(self, episodes: Sequence[Episode]) -> list[Decision]:
        return self.reader.act(episodes, self.choose)

    def choose(self, reading: Reading) -> list[Decision]:
        """An admissible command of each row; ties go to the one picked first."""
        contexts = self.reader.contexts
        commands = [
            [] if context.full else contexts.sayable(context.ids, commands_of(episode.info))
            for episode, context in zip(reading.episodes, reading.contexts, strict=True)
        ]
        ids = [
            [contexts.turn_ids(context, command) for command in row]
            for context, row in zip(reading.contexts, commands, strict=True)
        ]
        log_probs = self.reader.policy.log_probs(reading.logits, ids)
        for row_log_probs in log_probs:
            check_numbers(row_log_probs, "policy")
        picked = [
            self._pick(row_log_probs, episode.rng.random(len(row_log_probs)))
            for row_log_probs, episode in zip(log_probs, reading.episodes, strict=True)
        ]
        values = self._values(ids, picked)
        best = [
            max(row_values, key=lambda place: self._rank(float(row_log_probs[place]), row_values[place]), default=0)
            for row_values, row_log_probs in zip(values, log_probs, strict=True)
        ]
        spoken = [row[place][:-1] if row else [] for row, place in zip(ids, best, strict=True)]
        self.reader.policy.commit(spoken)
        if self.value_reader is not None:
            self.value_reader.commit(spoken)
        return [_decision(*row) for row in zip(commands, log_probs, values, best, reading.state_values, strict=True)]

    def _pick(self, log_probs: np.ndarray, uniform: np.ndarray) -> list[int]:
        """The K commands to choose from, the best first. Adding Gumbel noise draws them without replacement."""
        temperature = self.reader.sampler.temperature
        if temperature > 0:
            log_probs = log_probs / temperature - np.log(-np.log(np.clip(uniform, 1e-300, 1 - 2.0**-53)))
        return np.argsort(-log_probs, kind="stable")[: self.k].tolist()

    def _rank(self, log_prob: float, value: float) -> float:
        return rank(log_prob, value, self.beta) if self.value_reader is not None else 0.0

    def _values(self, ids: list[list[list[int]]], picked: list[list[int]]) -> list[dict[int, float]]:
        """V of each picked command, by its index; 0 where likelihood alone counts."""
        if self.value_reader is None:
            return [dict.fromkeys(row, 0.0) for row in picked]
        unended = [[row[index][:-1] for index in places] for row, places in zip(ids, picked, strict=True)]
        values = self.value_reader.values(unended)
        return [dict(zip(places, row, strict=True)) for places, row in zip(picked, values, strict=True)]


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
    commands: list[str], log_probs: np.ndarray, values: dict[int, float], best: int, state_value: float | None
) -> Decision:
    if not commands:
        return Decision("", value=state_value)
    weighed = len(values) > 1
    candidates = tuple(
        Candidate(command, float(log_prob), values.get(index) if weighed else None)
        for index, (command, log_prob) in enumerate(zip(commands, log_probs, strict=True))
    )
    return Decision(commands[best], log_prob=float(log_probs[best]), value=state_value, candidates=candidates)
