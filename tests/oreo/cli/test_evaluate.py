"""`oreo eval`: what it says, and what it keeps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from helpers.commands import GUESS


def test_an_evaluation_says_what_it_measured_and_how(oreo) -> None:
    command = ["eval", "--env", GUESS, "--agent", "expert", "--episodes", 20, "--seed", 3, "--max-steps", 6]
    result = json.loads(oreo(*command, "--json")[1])
    assert result["episodes"] == 20 and 0 < result["low"] < result["success"] <= result["high"] <= 1
    assert result["protocol"]["env"] == GUESS
    assert (result["protocol"]["seed"], result["protocol"]["max_steps"]) == (3, 6)
    again = json.loads(oreo(*command, "--batch-size", 3, "--json")[1])
    assert again == result
    table = oreo(*command)[1]
    assert f"{result['won']}/20" in table and "95 % interval" in table and "at most 6 steps" in table


def test_evaluated_episodes_can_be_kept(oreo, tmp_path) -> None:
    code, _, error = oreo("eval", "--env", GUESS, "--agent", "random", "--episodes", 3, "--into", tmp_path / "kept")
    assert code == 0, error
    assert json.loads(oreo("buffer", "info", tmp_path / "kept", "--json")[1])["episodes"] == 3


@pytest.mark.parametrize("command", ["eval", "collect"])
@pytest.mark.parametrize("name", ["a" * 300, "b/" + "a" * 300, "file", "file/inside", "other", "/dev/null/x"])
def test_where_no_buffer_can_be_is_told_before_a_model_is_loaded(oreo, command, name, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("text")
    Path("other").mkdir()
    Path("other/notes").write_text("text")
    monkeypatch.setattr("oreo.agents.loading.load_agent", lambda *words: pytest.fail("it was loaded"))
    code, out, error = oreo(command, "--env", GUESS, "--agent", "tiny", "--episodes", 1, "--into", name)
    assert (code, out, error.count("\n")) == (1, "", 1), error
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "notes", "other"]
