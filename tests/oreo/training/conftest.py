"""Where runs start from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import small_models

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def start(tmp_path_factory: Any) -> Path:
    return small_models.make_model(tmp_path_factory.mktemp("start") / "model")
