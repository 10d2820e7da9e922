"""Benchmarks are scripts that nothing imports: they start, and the quick ones run on a few generated games."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
QUICK = {
    "acting.py": ["--episodes", "2", "--batch-size", "2", "--turns", "2"],
    "alfworld_engines.py": ["--games", "1", "--steps", "2", "--resets", "0"],
    "experts.py": ["--games", "3"],
}


def run(script: Path, *arguments: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100"}
    done = subprocess.run([sys.executable, script, *arguments], env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("script", sorted((ROOT / "benchmarks").glob("*.py")), ids=lambda script: script.name)
def test_a_benchmark_says_what_it_does_and_runs(script: Path) -> None:
    assert f"python benchmarks/{script.name}" in run(script, "--help")
    if script.name in QUICK:
        assert "━" in run(script, *QUICK[script.name])
