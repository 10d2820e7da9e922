"""Models of every kind that scoring has to fit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import small_models

torch.set_num_threads(1)


@pytest.fixture(params=["llama", "qwen2", "qwen3", "mistral", "gpt2", "gemma", "gemma2"])
def folder(request: Any, tmp_path: Path) -> Path:
    return small_models.make_model(tmp_path / "model", request.param)
