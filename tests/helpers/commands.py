"""Commands and scripts run in this process: one of their own costs seconds of imports, and proves no more."""

from __future__ import annotations

import importlib.util
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from oreo.cli import main

GUESS = f"{Path(__file__).resolve().parents[2] / 'examples' / 'guess.py'}:Guess"
"""The guessing game, as a command names it."""


def exit_code(call: Callable[[], None]) -> int:
    """How it would end a process: 0 where it returns."""
    try:
        call()
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    return 0


def run_oreo(*words: object) -> int:
    """`oreo words`; returns its exit code."""
    with warnings.catch_warnings():  # the command shows warnings in a way of its own
        return exit_code(lambda: main([str(word) for word in words]))


def load_script(path: Path) -> ModuleType:
    """A script that is in no package, imported by its path and not yet run."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # where its dataclasses look for their module
    spec.loader.exec_module(module)
    return module


def run_script(script: ModuleType, *arguments: object) -> int:
    """`python script.py arguments`; returns its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [str(script.__file__), *map(str, arguments)])
        return exit_code(script.main)
