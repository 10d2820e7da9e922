"""The worlds that come along have none of the faults that the checks look for."""

from __future__ import annotations

import pytest

import oreo.envs
from oreo.envs.checking import checks


@pytest.mark.parametrize(
    ("env", "arguments"),
    [
        ("oreo/ALFWorld-v0", {"split": "generated"}),
        ("oreo/Math-v0", {}),
    ],
)
def test_nothing_is_found(monkeypatch: pytest.MonkeyPatch, env: str, arguments: dict[str, str]) -> None:
    monkeypatch.setattr(checks, "RESETS", 60)
    report = oreo.envs.check(env, **arguments)
    assert report.passed, str(report)
    assert {"seeds", "processes", "refused", "growth", "gymnasium"} <= set(report.checks)
