"""Commands and scripts run in this process, or in a fork of it: one of their own costs seconds of imports, and proves
no more."""

from __future__ import annotations

import importlib.util
import multiprocessing
import os
import signal
import sys
import warnings
from collections.abc import Callable
from multiprocessing.context import ForkServerContext, ForkServerProcess
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


def importing_once() -> ForkServerContext:
    """Starts processes as forks of one that has no threads and has imported what loads a model."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["oreo.models.loading", "oreo.agents.language_model", "transformers.modeling_utils"])
    return context


def start_oreo(*words: object, cwd: Path) -> ForkServerProcess:
    """`oreo words` in a fork of a process that has torch already; it prints into files `stdout` and `stderr`.

    To be interrupted and killed: a process that imports torch for itself takes five seconds to begin. A fork of this
    one, to which tests have given threads, may wait for their locks for ever.
    """
    process = importing_once().Process(target=_in_a_fork, args=(words, cwd))
    process.start()
    return process


def _in_a_fork(words: tuple[object, ...], cwd: Path) -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    for number, name in enumerate(["stdout", "stderr"], 1):
        file = open(cwd / name, "w")  # noqa: SIM115  (until the process ends)
        os.dup2(file.fileno(), number)
        setattr(sys, name, file)
    code = 1
    try:
        code = run_oreo(*words)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)  # nothing of pytest's is to end here


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
