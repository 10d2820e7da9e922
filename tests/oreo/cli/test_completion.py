"""Shell completion: the script that shells load, and what it offers."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]


def offered(words: str) -> list[str]:
    environment = {"PYTHONPATH": str(ROOT), "_OREO_COMPLETE": "complete_bash", "COMP_WORDS": words}
    environment["COMP_CWORD"] = str(len(words.split(" ")) - 1)
    command = [sys.executable, "-m", "oreo"]
    process = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0 and process.stderr == ""
    return process.stdout.split()


def test_commands_and_options_are_completed() -> None:
    assert offered("oreo re") == ["replay", "recipes"]
    assert offered("oreo buffer h") == ["head"]
    assert {"info", "check", "import", "filter", "verify", "translate"} < set(offered("oreo buffer "))
    assert offered("oreo collect --agent-") == ["--agent-arg"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_for_a_shell_is_shown(oreo, shell: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # Else typer asks which shell started this process, and none may have.
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    code, out, error = oreo("--show-completion", shell)
    assert (code, error) == (0, "") and "_OREO_COMPLETE" in out
