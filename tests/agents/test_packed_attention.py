"""oreo.agents.packed_attention: its two ways to compute give the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from helpers.word_models import make_model
from oreo.agents.ragged_cache import RaggedCache


def test_the_attention_for_accelerators_agrees_with_the_one_for_processors(
    tokenizer: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def logits() -> torch.Tensor:
        cache = RaggedCache(make_model("gemma2"))
        cache.retain([1, 2, 3])
        rng = np.random.default_rng(0)
        histories = [rng.integers(5, 60, size).tolist() for size in (3, 20, 11)]
        first = cache.read(histories)
        grown = cache.extend([7, 8, 10, 11], [0, 0, 1, 2])
        return torch.cat([first, grown])

    import oreo.agents.packed_attention as module

    with torch.inference_mode():
        by_row = logits()
        monkeypatch.setattr(module, "_ROW_BY_ROW", ())
        padded = logits()
    assert torch.allclose(by_row, padded, atol=1e-4)
