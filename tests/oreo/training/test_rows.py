"""oreo.training.rows: what the rows of the data are."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import pytest

from helpers import small_models
from oreo.encoding.turn_format import TurnFormat
from oreo.models.loading import load_policy
from oreo.training.rows import RowKind, encode_all


def test_turns_that_an_agent_would_hand_over_as_another_action_are_counted() -> None:
    first, second, *others = small_models.episodes()
    first = dataclasses.replace(
        first, steps=tuple(dataclasses.replace(step, turn=f"hm\n{step.action}") for step in first.steps)
    )
    second = dataclasses.replace(
        second, steps=tuple(dataclasses.replace(step, turn=f"hm\nAction: {step.action}") for step in second.steps)
    )
    form = TurnFormat.from_tokenizer(load_policy("tiny")[1])
    settings: dict[str, Any] = dict(rows=RowKind.TRAJECTORIES, max_length=None, overlong="refuse")
    total = sum(map(len, [first, second, *others]))
    with pytest.warns(UserWarning, match=f"{len(first)} of {total} turns .* as another action than the stored one"):
        encode_all([first, second, *others], form, **settings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encode_all([second, *others], form, **settings)
