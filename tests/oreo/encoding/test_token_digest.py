"""A tokenizer is recognised by what makes its tokens, and by nothing else."""

from __future__ import annotations

from pathlib import Path

from transformers import AutoTokenizer

from helpers import small_models
from oreo.encoding.token_digest import token_digest


def test_a_tokenizer_is_the_same_after_saving_and_whatever_is_set_from_outside(tmp_path: Path) -> None:
    tokenizer = small_models.tokenizer()
    before = token_digest(tokenizer)
    tokenizer.save_pretrained(tmp_path)
    again = AutoTokenizer.from_pretrained(tmp_path)
    again(["a", "abc"], padding=True, truncation=True, max_length=2)
    again.chat_template = "{{ messages }}"
    assert token_digest(again) == before and len(before) == 16


def test_one_more_token_is_another_tokenizer() -> None:
    tokenizer = small_models.tokenizer()
    before = token_digest(tokenizer)
    tokenizer.add_tokens(["fridge"])
    assert token_digest(tokenizer) != before


class InPython:
    """As a tokenizer without tokenizers' backend."""

    def __init__(self, vocabulary: dict[str, int]) -> None:
        self.get_vocab = lambda: vocabulary


def test_one_written_in_python_is_known_by_its_vocabulary() -> None:
    one, same, other = InPython({"a": 0, "b": 1}), InPython({"b": 1, "a": 0}), InPython({"a": 1, "b": 0})
    assert token_digest(one) == token_digest(same) != token_digest(other)
