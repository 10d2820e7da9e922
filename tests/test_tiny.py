"""The embedded language model: its tokenizer loses nothing; it plays better than chance and worse than the expert."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oreo


@pytest.fixture(scope="module")
def tokenizer():
    from oreo.models import load_policy

    return load_policy("tiny")[1]


@given(text=st.text(max_size=60))
def test_every_text_survives_being_tokenised(tokenizer, text):
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_words_numbers_and_set_phrases_of_the_games_are_one_token_each(tokenizer):
    text = "\nYou arrive at loc 12. On the sidetable 1, you see a cellphone 2, and a mug 1."
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    assert [tokenizer.decode([token]) for token in ids] == [
        *("\nYou arrive at loc", " 12", ". On the", " sidetable", " 1"),
        *(", you see a", " cellphone", " 2", ", and a", " mug", " 1", "."),
    ]


def test_it_acts_well_above_chance_and_well_below_the_expert():
    settings = {"episodes": 60, "max_steps": 20, "env_kwargs": {"split": "generated_unseen"}}
    success = {
        name: oreo.evaluate("oreo/ALFWorld-v0", name, **settings).overall for name in ("random", "tiny", "expert")
    }
    assert success["random"].high < success["tiny"].low
    assert success["tiny"].high < success["expert"].low
    assert success["expert"].success == 1.0
