"""Recorded tokens of a turn are taken where they say the turn, and nothing else is."""

from __future__ import annotations

from typing import Any

import pytest

from oreo.encoding.sampled_tokens import sampled_tokens

from .templates import tokenizer

TEXT = "Thought: I go.\nAction: go to fridge 1"


def test_another_way_to_say_the_same_text_is_kept_without_its_end() -> None:
    tokens = tokenizer("chatml")
    letters = [token for letter in TEXT for token in tokens(letter, add_special_tokens=False)["input_ids"]]
    assert letters != tokens(TEXT, add_special_tokens=False)["input_ids"]  # sampling is not the inverse of reading
    end = tokens.eos_token_id
    assert end is not None
    for recorded in (letters, [*letters, end], [*letters, end, end]):
        assert sampled_tokens(tokens, recorded, TEXT) == tuple(letters)
    assert sampled_tokens(tokens, [end], "") == ()


@pytest.mark.parametrize("other", [[10**9], [-1], [1.0], ["1"], [True], [None]])
def test_what_is_no_token_of_it_is_not_taken(other: list[Any]) -> None:
    tokens = tokenizer("chatml")
    ids = tokens(TEXT, add_special_tokens=False)["input_ids"]
    assert sampled_tokens(tokens, ids, TEXT) == tuple(ids)
    assert sampled_tokens(tokens, [*ids, *other], TEXT) is None
    assert sampled_tokens(tokens, ids[:-1], TEXT) is None and sampled_tokens(tokens, ids, TEXT + " ") is None
