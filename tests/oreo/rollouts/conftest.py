"""`four`, an environment that waits for four processes."""

from __future__ import annotations

from pathlib import Path

import pytest

from helpers.four_processes import Four


@pytest.fixture
def four(tmp_path: Path) -> Four:
    return Four(tmp_path)
