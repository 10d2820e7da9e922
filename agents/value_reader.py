"""Reading episodes with a value model alone, for agents whose policy is somewhere else.

The states are those of best_of_k.py: V where a turn is chosen, and after the last token of a turn, before its end.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from oreo.agents.agent import Episode
from oreo.agents.language_model import LanguageModelAgent, _Story
from oreo.errors import DataError


class Judge(LanguageModelAgent):
    """Reads the stories with a value model alone: what its base calls the policy is the value model here."""

    def __init__(
        self, value: Any, tokenizer: Any, *, max_new_tokens: int, context: int | None = None, instruction: str | None
    ) -> None:
        super().__init__(value, tokenizer, max_new_tokens=max_new_tokens, context=context, instruction=instruction)
        known = int(value.config.get_text_config().vocab_size)
        if len(tokenizer) > known:
            raise DataError(f"the tokenizer has {len(tokenizer)} tokens and the value model {known}: not of one kind")
        self._order: list[int] = []
        self._shown: list[_Story] = []
        self._here: list[float | None] = []
        self._ids: list[list[list[int]]] = []

    @torch.inference_mode()
    def read(self, episodes: Sequence[Episode]) -> list[float | None]:
        """V(s) of the state each turn is chosen in; None where the model has no room for it."""
        self._order, self._shown = self._ordered(episodes)
        if not episodes:
            return []
        read = self.policy.read([story.ids for story in self._shown])[:, 0].float().tolist()
        self._here = [None if story.full else value for story, value in zip(self._shown, read, strict=True)]
        return self._by_episode(self._here)

    @torch.inference_mode()
    def weigh(self, texts: Sequence[Sequence[str]]) -> list[list[float | None]]:
        """V of each turn of each episode read last: after its last token, before the one that ends it."""
        rows = [texts[index] for index in self._order]
        # A text of many tokens of ours may have been few of the server's; there is room for so many.
        self._ids = [
            [self._turn_ids(story, text)[:-1][: self.max_new_tokens] for text in row]
            for story, row in zip(self._shown, rows, strict=True)
        ]
        weighed = self.policy.weigh([[ids for ids in row if ids] for row in self._ids])
        found = iter([float(output[0]) for row in weighed for output in row])
        worth = []
        for row, story, here in zip(self._ids, self._shown, self._here, strict=True):
            # A turn without text ends where it began: its state is the one it was chosen in.
            each = [next(found) if ids else here for ids in row]
            worth.append([None] * len(each) if story.full else each)
        return self._by_episode(worth)

    @torch.inference_mode()
    def settle(self, chosen: Sequence[int]) -> None:
        """Which turn of each episode was said: the cache keeps what it read of it."""
        best = [chosen[index] for index in self._order]
        self.policy.settle([row[index] for row, index in zip(self._ids, best, strict=True)])

    def _by_episode(self, rows: Sequence[Any]) -> list[Any]:
        placed = dict(zip(self._order, rows, strict=True))
        return [placed[index] for index in range(len(placed))]
