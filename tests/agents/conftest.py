"""Fixtures of the agents' tests: the word tokenizer, and one thread for torch."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from helpers.word_models import make_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
