"""A game's words: its task sentence, its dialect, and the other dialect's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.envs.alfworld.game import swap

words = st.sampled_from(
    [
        "put",
        "Put",
        "move",
        "in/on",
        "to",
        "the",
        "mug 1",
        "shelf 2",
        "put 1",
        "mug",
        "1",
        "12a",
        ".",
        "go to",
        "\n",
        "é",
    ]
)
texts = st.one_of(st.text(), st.lists(words, max_size=12).map(" ".join))


@given(texts)
def test_swapping_twice_gives_the_text_back(text: str) -> None:
    assert swap(swap(text)) == text


@pytest.mark.parametrize(
    ("put", "move"),
    [
        ("put mug 1 in/on shelf 2", "move mug 1 to shelf 2"),
        ("You put the mug 1 in/on the shelf 2.", "You move the mug 1 to the shelf 2."),
        ("Thought: done soon.\nAction: put mug 1 in/on shelf 2", "Thought: done soon.\nAction: move mug 1 to shelf 2"),
        ("Put mug 12 in/on shelf 34!", "Move mug 12 to shelf 34!"),
    ],
)
def test_putting_down_is_worded_in_both_dialects(put: str, move: str) -> None:
    assert swap(put) == move
    assert swap(move) == put


@pytest.mark.parametrize(
    "text",
    [
        "Your task is to: put a clean mug in shelf.",
        "go to shelf 2",
        "put mug in/on shelf",
        "put mug 1 to shelf 2",
        "input mug 1 in/on shelf 2",
        "put mug 1 in/on shelf 2nd",
    ],
)
def test_other_texts_stay(text: str) -> None:
    assert swap(text) == text
