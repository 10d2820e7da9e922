"""Tests of the terminal program; without textual there is none."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

import pytest

collect_ignore_glob = [] if importlib.util.find_spec("textual") else ["test_*.py"]


@pytest.fixture
def watched() -> Callable[..., Any]:
    """Run a script of keys on a screen: `helpers.pilot.watch`."""
    from helpers.pilot import watch

    return watch
