"""`oreo train`: settings, recipes, and what is shown meanwhile."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from helpers.commands import GUESS

WRONG_SETTINGS = [
    (["seed=5"], "--set seed: seed has an option of its own; give --seed in its place"),
    (["method=sft"], "give --method in its place"),
    (["model=tiny"], "give --model in its place"),
    (["value_lambda=0.5"], "give --value-lambda in its place"),
    (["lora_r=4"], "give --lora in its place"),
    (["trackers=3"], "give --track in its place"),
    (["lr=abc"], "give --lr in its place"),
    (["output=there"], "unknown training option 'output'"),
    (["on_step=1"], "unknown training option 'on_step'"),
    (["bf16=no"], "bf16 is 'no'; expected true or false"),
    (["micro_tokens=4k"], "micro_tokens is '4k'; expected a whole number"),
    (["adam_betas=0.9"], "adam_betas is 0.9; expected a list of 2 numbers"),
    (["instruction=True"], "instruction is True; expected text"),
    (["packed=False", "checkpoint_activations=TRUE", "bf16="], "bf16 is ''; expected true or false"),
]


@pytest.mark.parametrize(("settings", "message"), WRONG_SETTINGS, ids=lambda word: " ".join(word)[:30])
def test_a_wrong_setting_of_training_is_one_line_that_says_what_is_expected(oreo, settings, message) -> None:
    assert oreo("collect", "--env", GUESS, "--agent", "expert", "--episodes", 1, "--into", "b")[0] == 0
    given = [word for setting in settings for word in ("--set", setting)]
    code, out, error = oreo("train", "b", "--output", "o", *given)
    assert (code, out, error.count("\n")) == (2, "", 1) and message in error
    assert not Path("o").exists()


@pytest.mark.parametrize("no", ["False", "false", "FALSE"])
def test_settings_are_switched_off_in_any_case(oreo, no: str) -> None:
    assert oreo("collect", "--env", GUESS, "--agent", "expert", "--episodes", 2, "--into", "b")[0] == 0
    off = [word for name in ("bf16", "packed", "checkpoint_activations") for word in ("--set", f"{name}={no}")]
    code, _, error = oreo("train", "b", "--method", "sft", "--epochs", 1, "--output", "o", *off, "--json")
    assert code == 0, error
    stored = json.loads(Path("o", "config.json").read_text())
    assert (stored["bf16"], stored["packed"], stored["checkpoint_activations"]) == (False, False, False)


def test_training_by_a_recipe_takes_its_settings_and_the_explicit_ones_over_them(oreo, buffer: Path) -> None:
    command = ["train", buffer, "--recipe", "rejection-maths", "--epochs", 2, "--set", "bf16=false"]
    code, _, error = oreo(*command, "--output", "o", "--track", "tensorboard", "--json")
    assert code == 0, error
    config = json.loads(Path("o/config.json").read_text())
    assert (config["recipe"], config["method"]) == ("rejection-maths", "rejection")
    assert (config["lr"], config["epochs"], config["bf16"]) == (5e-6, 2, False)
    assert list(Path("o/tensorboard").rglob("events.*"))
    code, _, error = oreo("train", buffer, "--recipe", "rejection-maths", "--method", "sft", "--output", "p")
    assert code == 2 and "recipe rejection-maths is for method 'rejection', not 'sft'" in error


def test_a_terminal_shows_all_that_is_logged_while_training(monkeypatch, capsys) -> None:
    from oreo.progress import Updates

    line = {"step": 3, "steps": 9, "phase": "oreo", "value_loss": 0.25, "auc_start": None, "tokens_per_second": 812.0}
    for terminal in ("1", "0"):
        monkeypatch.setenv("TTY_COMPATIBLE", terminal)
        monkeypatch.setenv("COLUMNS", "80")
        with Updates("training") as seen:
            seen(line)
            seen._bar.refresh()
        shown = re.sub(r"\x1b\[[\d;?]*\w", "", capsys.readouterr().err)
        if terminal == "1":
            assert "3/9" in shown and "value_loss 0.25" in shown and "tokens_per_second 812" in shown
            assert "auc_start" not in shown
        else:
            assert shown == ""
