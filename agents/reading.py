"""Reading live episodes with a policy, and with a value model where there is one: what every language-model agent has.

def act(self, episodes):
    return self.reader.act(episodes, self.choose)

def choose(self, reading):      # a decision for each row of the reading
    ...
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from oreo.agents.agent import Decision, Episode
from oreo.agents.context import Contexts, EpisodeContext, check_context
from oreo.agents.models import Models
from oreo.agents.rereading import cache_for
from oreo.agents.sampling import TurnSampler
from oreo.agents.settings import MAX_NEW_TOKENS, AgentConfig
from oreo.agents.turns import Turn
from oreo.agents.value_reader import ValueReader, order_of
from oreo.encoding.turn_format import TurnFormat
from oreo.errors import DataError, UsageError


@dataclass(frozen=True)
class Reading:
    """Live episodes as the models have just read them, in the order of the policy cache's rows."""

    episodes: list[Episode]
    contexts: list[EpisodeContext]
    logits: Tensor
    """[n, V] of the policy after each context."""
    state_values: Sequence[float | None]
    """V(s) of the state each turn is chosen in; None without a value model."""


class EpisodeReader:
    """A policy, a value model or none, what both are told, and how turns are sampled."""

    def __init__(
        self,
        policy: Any,
        tokenizer: Any,
        *,
        value: Any = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        max_new_tokens: int = MAX_NEW_TOKENS,
        context: int | None = None,
        instruction: str | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        """Args:
        policy: causal language model of transformers.
        tokenizer: its tokenizer.
        value: token-classification model with one label and the same tokenizer, or None.
        temperature, top_p, max_new_tokens: as of `TurnSampler`.
        context: tokens of an episode, its next turn included, that the models are shown at most; beyond, the oldest
            turns are left out. None: as many as they have positions for.
        instruction: put before the first observation; None: what the tokenizer was saved with.
        device: where to run; None leaves the models where they are.
        """
        turn_format = TurnFormat.from_tokenizer(tokenizer, instruction=instruction)
        self.sampler = TurnSampler(turn_format, temperature=temperature, top_p=top_p, max_new_tokens=max_new_tokens)
        check_context(context, max_new_tokens)
        if value is not None:
            check_same_tokens(policy, value)
        for model in (policy, value):
            if model is not None:
                (model if device is None else model.to(device)).eval()
        self.policy = cache_for(policy)
        self.value_reader = None if value is None else ValueReader(value)
        limits = (context, self.policy.limit, None if self.value_reader is None else self.value_reader.cache.limit)
        self.contexts = Contexts(turn_format, max_new_tokens=max_new_tokens, limits=limits)
        self._context = context

    @classmethod
    def build(cls, models: Models, config: AgentConfig) -> EpisodeReader:
        """The reader that a checked config means."""
        return cls(
            models.policy,
            models.tokenizer,
            value=models.value,
            temperature=config.temperature,
            top_p=config.top_p,
            max_new_tokens=config.max_new_tokens,
            context=config.context,
            instruction=config.instruction,
        )

    def __str__(self) -> str:
        """As it stands in the names of agents."""
        return f"{self.sampler}" + ("" if self._context is None else f", context={self._context}")

    @property
    def tokenizer_digest(self) -> str:
        """What the tokenizer is recognised by, for the trajectories."""
        return self.contexts.format.digest

    def needed_value_reader(self) -> ValueReader:
        """What reads with the value model, for who cannot choose without one. Raises UsageError where there is none."""
        if self.value_reader is None:
            raise UsageError("a value model is needed to choose by")
        return self.value_reader

    @torch.inference_mode()
    def act(self, episodes: Sequence[Episode], choose: Callable[[Reading], list[Decision]]) -> list[Decision]:
        """A decision for each episode, in order.

        Args:
            choose: gives a decision for each row of a reading.
        """
        reading, order = self.read(episodes)
        if reading is None:
            return []
        placed = {
            # A turn that is empty for want of room says nothing that is to be imitated.
            index: replace(decision, context_start=context.context_start, imitate=decision.imitate and not context.full)
            for index, context, decision in zip(order, reading.contexts, choose(reading), strict=True)
        }
        return [placed[index] for index in range(len(order))]

    def read(self, episodes: Sequence[Episode]) -> tuple[Reading | None, list[int]]:
        """Catch up with the episodes: a reading (None without episodes), and which of them each of its rows is of."""
        contexts = self.contexts.update(episodes)
        self.policy.retain([context.key for context in contexts])
        order = order_of(self.policy.keys, contexts)
        if not order:
            return None, []
        ordered = [contexts[index] for index in order]
        logits = self.policy.read([context.ids for context in ordered])
        state_values: Sequence[float | None] = [None] * len(order)
        if self.value_reader is not None:
            state_values = self.value_reader.read(ordered)
            assert self.value_reader.cache.keys == self.policy.keys, (
                "two caches with one history hold rows in one order"
            )
        return Reading([episodes[index] for index in order], ordered, logits, state_values), order

    def sample(self, reading: Reading, count: int) -> list[list[Turn]]:
        """N turns of each row; where there is no room for a turn, one that is empty."""
        size = (count, self.sampler.max_new_tokens)
        uniform = np.stack([episode.rng.random(size) for episode in reading.episodes])
        places = [None if context.full else context for context in reading.contexts]
        turns = self.sampler.sample(self.policy, reading.logits, uniform, places, [count] * len(places))
        return [row or [Turn([], "", 0.0, 0)] for row in turns]


def check_same_tokens(policy: Any, value: Any) -> None:
    """A value model reads the policy's tokens, so it needs the same vocabulary."""
    policy_tokens, value_tokens = (int(model.config.get_text_config().vocab_size) for model in (policy, value))
    if policy_tokens != value_tokens:
        raise DataError(
            f"the policy knows {policy_tokens} tokens and the value model {value_tokens}: they do not belong together"
        )
