"""oreo.agents.values: V after continuations, in the order they were given."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from oreo.agents.values import values_after
from oreo.errors import DataError


class LastToken:
    """A cache whose value after a continuation is its last token."""

    def values(self, candidates: Any) -> Any:
        assert all(ids for row in candidates for ids in row), "no continuation is empty"
        return [[torch.tensor([float(ids[-1])]) for ids in row] for row in candidates]


def test_a_continuation_without_tokens_is_worth_what_its_state_is() -> None:
    cache: Any = LastToken()
    assert values_after(cache, [[[1, 2], [], [3]], [], [[]]], [0.5, 0.25, None]) == [[2.0, 0.5, 3.0], [], [0.0]]


def test_what_is_no_number_is_refused() -> None:
    cache: Any = LastToken()
    with pytest.raises(DataError, match="value model gives outputs that are not finite"):
        values_after(cache, [[[float("nan")]]], [0.0])  # type: ignore[list-item]
