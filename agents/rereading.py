"""Acting with models that a `RaggedCache` cannot run: nothing is kept, everything is read again for every token.

Slow, and right for whatever maps a sequence of tokens to outputs that do not depend on later ones. `cache_for` finds
out which of the two a model needs.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from oreo.agents.ragged_cache import RaggedCache, positions, rearranged
from oreo.errors import DataError
from oreo.models.packing import windowed

_TOKENS_AT_ONCE = 1 << 12


TokenCache: TypeAlias = "RaggedCache | Rereading"
"""What one model has read of many episodes, with or without a cache."""


def cache_for(model: Any) -> RaggedCache | Rereading:
    """A cache where a small trial shows that the model can be run by it, else none.

    Raises:
        DataError: the model's outputs are no numbers.
    """
    try:
        works, why = _agrees(model), "its outputs differ"
    except DataError:
        raise
    except Exception as error:  # whatever a model's code raises when it is called as it does not expect
        works, why = False, f"{type(error).__name__}: {str(error).strip()[:80]!r}"
    if works:
        return RaggedCache(model)
    warnings.warn(
        f"{type(model).__name__} cannot be run with our key-value cache ({why}): every episode is read again from its "
        "beginning for every token, which is slow",
        stacklevel=2,
    )
    return Rereading(model)


@torch.inference_mode()
def _agrees(model: Any) -> bool:
    """Whether packed rows and their continuations give what plain passes give."""
    vocabulary = int(model.config.get_text_config().vocab_size)
    rows = [[(7 * index + 3) % vocabulary for index in range(size)] for size in (3, 6)]
    more = [token % vocabulary for token in (1, 2, 5, 4)]
    answers = []
    for cache in (RaggedCache(model), Rereading(model)):
        cache.retain([0, 1])
        outputs = [cache.read(rows), cache.extend(more, [0, 0, 1, 1]), cache.extend(more, [0, 1, 2, 3])]
        answers.append(torch.cat(outputs).float())
        if isinstance(cache, RaggedCache) and windowed(model) and not any(cache.windows):
            # Too long a window to be seen in a trial, and in a mask that our attention does not look at.
            raise NotImplementedError("its attention is told of windows by a mask alone")
    scale = float(answers[1].abs().max())
    if not math.isfinite(scale):
        raise DataError(
            f"{_path(model)} gives outputs that are not finite numbers: its weights are damaged, or too large for its "
            "dtype; check its files, or load it with dtype=float32"
        )
    tolerance = 1e-3 if model.dtype == torch.float32 else 5e-2
    return bool((answers[0] - answers[1]).abs().max() <= tolerance * max(scale, 1e-6))


def _path(model: Any) -> str:
    """Where a model was loaded from, or what it is."""
    return str(getattr(model.config, "_name_or_path", "") or type(model).__name__)


class Rereading:
    """Has the methods of a `RaggedCache`, and no cache."""

    def __init__(self, model: Any) -> None:
        self.model = model
        self.keys: list[int] = []
        self.limit = positions(model)
        self._histories: list[list[int]] = []
        self._tips: list[list[int]] = []
        self._device = next(model.parameters()).device

    def retain(self, keys: Sequence[int]) -> None:
        """Rows for `keys`, in the order in which a `RaggedCache` has them."""
        self.keys, _ = rearranged(self.keys, keys)

    def fork(self, copies: dict[int, int]) -> None:
        """Rows for new keys; there is nothing to copy."""
        self.keys = [*self.keys, *copies]

    def read(self, histories: Sequence[Sequence[int]]) -> Tensor:
        """Outputs [n, V] at the last token of each row."""
        self._histories = self._tips = [list(history) for history in histories]
        return self._last(self._histories)

    def extend(self, tokens: Sequence[int], parents: Sequence[int]) -> Tensor:
        """Outputs [m, V] after m tokens, each of which goes on from one of the outputs that were given last."""
        self._tips = [[*self._tips[parent], token] for token, parent in zip(tokens, parents, strict=True)]
        return self._last(self._tips)

    def values(self, candidates: Sequence[Sequence[Sequence[int]]]) -> list[list[Tensor]]:
        """Outputs [V] at the last token of each candidate of each row."""
        rows = zip(self._histories, candidates, strict=True)
        flat = [[*history, *ids] for history, continuations in rows for ids in continuations]
        outputs = iter(self._last(flat) if flat else ())
        return [[next(outputs) for _ in continuations] for continuations in candidates]

    def log_probs(self, logits: Tensor, candidates: Sequence[Sequence[Sequence[int]]]) -> list[np.ndarray]:
        """Log-probability [candidates] of each candidate of each row, one token after the other."""
        begun = logits.float().log_softmax(-1).double().cpu().numpy()
        scores = []
        for row, (history, continuations) in enumerate(zip(self._histories, candidates, strict=True)):
            total = np.array([begun[row, ids[0]] for ids in continuations], dtype=np.float64)
            for index, ids in enumerate(continuations):
                prefixes = [[*history, *ids[:end]] for end in range(1, len(ids))]
                if prefixes:
                    log_probs = self._last(prefixes).float().log_softmax(-1).double()
                    total[index] += float(log_probs[range(len(prefixes)), list(ids[1:])].sum())
            scores.append(total)
        return scores

    def commit(self, kept: Sequence[Sequence[int]]) -> None:
        """Nothing is kept, so there is nothing to commit to."""

    def _last(self, sequences: Sequence[Sequence[int]]) -> Tensor:
        """[sequences, V], padded on the right, where a causal model does not look."""
        outputs = []
        size = max(1, _TOKENS_AT_ONCE // max(map(len, sequences)))
        for low in range(0, len(sequences), size):
            part = sequences[low : low + size]
            tokens = torch.zeros(len(part), max(map(len, part)), dtype=torch.long)
            for row, ids in enumerate(part):
                tokens[row, : len(ids)] = torch.tensor(ids)
            logits = self.model(input_ids=tokens.to(self._device), use_cache=False).logits
            outputs.append(logits[torch.arange(len(part)), [len(ids) - 1 for ids in part]])
        return torch.cat(outputs)
