"""oreo.encoding.actions: which part of a turn is its action, and that training says where the stored one is another."""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import pytest

from helpers import small_models
from oreo.encoding.actions import action_of
from oreo.encoding.turn_format import TurnFormat
from oreo.models.loading import load_policy
from oreo.training.rows import RowKind, encode_all


@pytest.mark.parametrize(
    ("turn", "action"),
    [
        ("go north", "go north"),
        ("Thought: a shelf.\nAction: go to shelf 8", "go to shelf 8"),
        ("Action: look\nno\n  ACTION :  go east \nbecause", "go east"),
        ("Think: a shelf.\ngo to shelf 8", "Think: a shelf.\ngo to shelf 8"),
        ("Action:", ""),
    ],
)
def test_the_action_follows_the_last_action_line_or_is_all_of_the_turn(turn: str, action: str) -> None:
    assert action_of(turn) == action


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
