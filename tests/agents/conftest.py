"""Fixtures of the agents' tests: the word tokenizer, a trained folder, a small server, and one thread for torch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.protocol_server import ProtocolServer
from helpers.word_models import make_model, make_tokenizer


@pytest.fixture(scope="session")
def tokenizer() -> Any:
    return make_tokenizer()


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: Any) -> Path:
    """As training leaves it: a policy, and a value beside it."""
    path = tmp_path_factory.mktemp("trained")
    make_model("llama").save_pretrained(path / "policy")
    tokenizer.save_pretrained(path / "policy")
    make_model("llama", value=True).save_pretrained(path / "value")
    return path


@pytest.fixture
def protocol(monkeypatch: pytest.MonkeyPatch) -> Iterator[ProtocolServer]:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    server = ProtocolServer()
    yield server
    server.kill()


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)
