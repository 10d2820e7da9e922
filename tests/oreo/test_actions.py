"""The action in a turn."""

from __future__ import annotations

import pytest

from oreo.actions import action_of, holds_its_action
from oreo.trajectory import Step


@pytest.mark.parametrize(
    ("turn", "action"),
    [
        ("go to fridge 1", "go to fridge 1"),
        (" go to fridge 1\n", "go to fridge 1"),
        ("Thought: it is cold.\nAction: open fridge 1", "open fridge 1"),
        ("Action: look\nThought: no.\naction : open fridge 1 \nso there", "open fridge 1"),
        ("Thought:\nit is cold.\n\nAction:\nopen fridge 1", "open fridge 1"),
        ("Action: \n\n open fridge 1\nso there", "open fridge 1"),
        ("<think>it is cold</think> <action> open fridge 1\n</action>", "open fridge 1"),
        ("Action: look\n<action>open fridge 1</action>.", "open fridge 1"),
        ("<action>look</action>\nAction: open fridge 1", "open fridge 1"),
        ("<action>if a < b: <b>go</b></action>", "if a < b: <b>go</b>"),
        ("<action>look <action>open fridge 1</action>", "open fridge 1"),
        ("<action>open fridge 1", "<action>open fridge 1"),
        ("Action:", ""),
        ("", ""),
    ],
)
def test_the_action_is_the_turn_or_what_follows_its_last_action_line(turn: str, action: str) -> None:
    assert action_of(turn) == action


@pytest.mark.parametrize(
    ("turn", "holds"),
    [
        (None, True),
        ("look", True),
        (" look\n", True),
        ("Think: a shelf.\nAction: look", True),
        ("Think: a shelf.\nlook", False),
        ("Action: open box 1", False),
        ("", False),
    ],
)
def test_a_turn_that_would_be_read_back_as_another_action_does_not_hold_its_own(turn: str | None, holds: bool) -> None:
    assert holds_its_action(Step("You see a box.", "look", turn=turn)) is holds
