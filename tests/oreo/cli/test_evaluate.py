"""`oreo eval`: what it says, and what it keeps."""

from __future__ import annotations

import json

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
