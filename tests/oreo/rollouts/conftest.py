"""`four`, an environment that waits for four processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.gathering import Gathered


@pytest.fixture
def four(tmp_path: Path) -> Gathered:
    return Gathered(tmp_path)
