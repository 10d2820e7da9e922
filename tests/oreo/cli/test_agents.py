"""oreo agents: every agent and every way to choose is listed with the settings that it uses."""

from __future__ import annotations

import json

import pytest

from helpers.commands import run_oreo
from oreo.agents.registry import CHOICES, RUNTIMES, SIMPLE, load_entry
from oreo.agents.settings import AgentConfig


def test_what_can_be_said_is_listed_with_its_settings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_oreo("agents", "--json") == 0
    listed = json.loads(capsys.readouterr().out)
    assert list(listed["--choose"]) == list(CHOICES)
    assert set(SIMPLE) | {f"{prefix}MODEL" for prefix in RUNTIMES} <= set(listed["--agent"])
    for word, entry in CHOICES.items():
        settings = listed["--choose"][word]["settings"]
        assert set(settings) == load_entry(entry).uses
        assert settings.get("beta", AgentConfig().beta) == AgentConfig().beta


def test_a_person_reads_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_oreo("agents") == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in (*CHOICES, *SIMPLE))
