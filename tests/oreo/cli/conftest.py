"""The command line in this process, in an empty folder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from helpers.commands import GUESS
from oreo.cli import main

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def oreo(capsys, monkeypatch, tmp_path: Path) -> Run:
    """Run `oreo …`: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    monkeypatch.delenv("OREO_DEBUG", raising=False)

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        printed = capsys.readouterr()
        return int(exit_.value.code or 0), printed.out, printed.err

    return run


@pytest.fixture
def buffer(oreo, tmp_path) -> Path:
    """Four expert episodes of the guessing game."""
    folder = tmp_path / "guesses"
    code, _, error = oreo("collect", "--env", GUESS, "--agent", "expert", "--episodes", 4, "--into", folder)
    assert code == 0, error
    return folder
