"""A value model here, for a policy that runs somewhere else (completer.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from oreo.agents.agent import Episode
from oreo.agents.context import Contexts
from oreo.agents.value_reader import ValueReader
from oreo.encoding.turn_format import TurnFormat
from oreo.errors import DataError


class ContextValues:
    """A value model that reads what a completer is told, in tokens of its own."""

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        *,
        max_new_tokens: int,
        context: int | None = None,
        instruction: str | None = None,
    ) -> None:
        """Args:
        model: token-classification model with one label.
        tokenizer: its tokenizer.
        max_new_tokens, context, instruction: as of `EpisodeReader`.

        Raises:
            DataError: the tokenizer has more tokens than the model embeds.
        """
        size = int(model.config.get_text_config().vocab_size)
        if len(tokenizer) > size:
            raise DataError(f"the tokenizer has {len(tokenizer)} tokens and the value model {size}: not of one kind")
        self._reader = ValueReader(model.eval())
        turn_format = TurnFormat.from_tokenizer(tokenizer, instruction=instruction)
        limits = (context, self._reader.cache.limit)
        self.contexts = Contexts(turn_format, max_new_tokens=max_new_tokens, limits=limits)

    @torch.inference_mode()
    def read(self, episodes: Sequence[Episode]) -> list[float | None]:
        """V(s) of the state each turn is chosen in; None where the model has no room for it."""
        self._shown = self.contexts.update(episodes)
        values = self._reader.read(self._shown)
        return [None if context.full else value for context, value in zip(self._shown, values, strict=True)]

    @torch.inference_mode()
    def values(self, texts: Sequence[Sequence[str]]) -> list[list[float | None]]:
        """V of each turn of each episode read last: after its last token, before the one that ends it."""
        self._ids = [
            [self.contexts.unended_ids(context, text) for text in row]
            for context, row in zip(self._shown, texts, strict=True)
        ]
        return [
            [None] * len(row) if context.full else list(row)
            for context, row in zip(self._shown, self._reader.values(self._ids), strict=True)
        ]

    @torch.inference_mode()
    def commit(self, chosen: Sequence[int]) -> None:
        """Which turn of each episode was said: the cache keeps what it read of it."""
        self._reader.commit([row[place] for row, place in zip(self._ids, chosen, strict=True)])
