"""oreo.eval.terminal.matching: which command is meant."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.eval.terminal.matching import completion, nearest

COMMANDS = ["go to fridge 1", "go to drawer 1", "open fridge 1", "take egg 1 from fridge 1"]


def test_beginnings_come_before_words_and_words_before_letters() -> None:
    assert nearest("go t", COMMANDS) == ["go to fridge 1", "go to drawer 1"]
    assert nearest("go", COMMANDS)[-1] == "take egg 1 from fridge 1"  # its letters, in this order
    assert nearest("fri", COMMANDS) == ["go to fridge 1", "open fridge 1", "take egg 1 from fridge 1"]
    assert nearest("gtdr", COMMANDS) == ["go to drawer 1"]
    assert nearest("Open F", COMMANDS) == ["open fridge 1"]
    assert nearest("", COMMANDS) == COMMANDS and nearest("xyz", COMMANDS) == []


def test_completion_goes_as_far_as_all_agree() -> None:
    assert completion("go", COMMANDS) == "go to "
    assert completion("go to d", COMMANDS) == "go to drawer 1"
    assert completion("egg", COMMANDS) == "take egg 1 from fridge 1"
    assert completion("go to ", COMMANDS) == "go to "
    assert completion("xyz", COMMANDS) == "xyz" and completion("x", []) == "x"


@given(st.text(max_size=6), st.lists(st.text(max_size=8), max_size=5))
@settings(max_examples=50)
def test_what_is_offered_is_among_the_commands_once(typed: str, commands: list[str]) -> None:
    offered = nearest(typed, commands)
    assert sorted(set(offered)) == sorted(set(offered) & set(commands)) and len(offered) <= len(commands)
