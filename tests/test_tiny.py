"""The embedded language models: their tokenizers lose nothing; they play better than chance and worse than the
expert."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import oreo
from oreo.models.loading import EMBEDDED, load_policy

TOKENIZERS = {name: load_policy(name)[1] for name in EMBEDDED}


def pieces(model: str, text: str) -> list[str]:
    tokenizer = TOKENIZERS[model]
    return [tokenizer.decode([token]) for token in tokenizer(text, add_special_tokens=False)["input_ids"]]


@pytest.mark.parametrize("model", EMBEDDED)
@given(text=st.text(max_size=60))
def test_every_text_survives_being_tokenised(model, text):
    tokenizer = TOKENIZERS[model]
    ids = tokenizer(text, add_special_tokens=False, split_special_tokens=True)["input_ids"]
    assert tokenizer.decode(ids, clean_up_tokenization_spaces=False) == text


def test_words_numbers_and_set_phrases_of_the_games_are_one_token_each():
    assert pieces("tiny", "\nYou arrive at loc 12. On the sidetable 1, you see a cellphone 2, and a mug 1.") == [
        *("\nYou arrive at loc", " 12", ". On the", " sidetable", " 1"),
        *(", you see a", " cellphone", " 2", ", and a", " mug", " 1", "."),
    ]


def test_words_and_single_digits_of_the_problems_are_one_token_each():
    assert pieces("tiny-math", "It makes 13 * 9 = 117 bags a day.\n#### 117") == [
        *("It", " makes", " 1", "3", " *", " 9", " =", " 1", "1", "7", " bags", " a", " day", ".", "\n"),
        *("####", " 1", "1", "7"),
    ]


def test_it_acts_well_above_chance_and_well_below_the_expert():
    settings = {"episodes": 60, "max_steps": 20, "env_kwargs": {"split": "generated_unseen"}}
    success = {
        name: oreo.evaluate("oreo/ALFWorld-v0", name, **settings).overall for name in ("random", "tiny", "expert")
    }
    assert success["random"].high < success["tiny"].low
    assert success["tiny"].high < success["expert"].low
    assert success["expert"].success == 1.0


def test_it_solves_some_of_the_problems_it_never_saw_and_the_expert_all_of_them():
    settings = {"episodes": 100, "max_steps": 10, "env_kwargs": {"split": "test"}}
    success = {name: oreo.evaluate("oreo/Math-v0", name, **settings).overall for name in ("tiny-math", "expert")}
    # There is no random agent of words; guessing one of the numbers seen in answers, 0 to 999, would be right far
    # less often than one time in ten.
    assert 0.1 < success["tiny-math"].low < success["tiny-math"].high < 0.8
    assert success["expert"].success == 1.0
