"""`small`: the helpers of small_models.py, imported only by the tests that ask for them (they need transformers)."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def small() -> ModuleType:
    path = Path(__file__).with_name("small_models.py")
    spec = importlib.util.spec_from_file_location("small_models", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules.setdefault(spec.name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module
