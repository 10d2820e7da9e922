"""oreo.cli.help: options stand in groups, and their few choices are named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import typer.main

from helpers.commands import run_oreo
from oreo.agents.registry import CHOICES
from oreo.cli import app
from oreo.training.recipe import recipe_names

GROUPS = {
    "eval": {"Agent": ["--agent", "--choose"], "Environment": ["--env", "--split"], "Decoding": ["--temperature"]},
    "train": {"Arguments": ["buffer"], "Training": ["--method", "--lr", "--level"], "Options": ["--output", "--json"]},
    "collect": {"Agent": ["--agent", "--noise"], "Environment": ["--env"], "Options": ["--into"]},
}


@pytest.mark.parametrize("command", GROUPS)
@pytest.mark.parametrize("help_option", ["-h", "--help"])
def test_options_stand_in_the_groups_that_they_belong_to(
    command: str, help_option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_oreo(command, help_option) == 0
    shown = capsys.readouterr().out
    sections = dict(re.findall(r"^(\w+):\n((?:  .*\n|\n)+)", shown, re.MULTILINE))
    assert list(sections)[-1] == "Options"
    for group, options in GROUPS[command].items():
        assert all(re.search(rf"^  {option}\b", sections[group], re.MULTILINE) for option in options), group


def test_the_help_of_train_names_the_methods_that_small_models_bring_settings_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    methods = sorted(name.removeprefix("small-") for name in recipe_names() if name.startswith("small-"))
    run_oreo("train", "--help")
    words = " ".join(capsys.readouterr().out.split())
    assert f"methods {', '.join(methods[:-1])} and {methods[-1]} take those of recipe small-METHOD" in words


def test_few_choices_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    run_oreo("eval", "--help")
    shown = capsys.readouterr().out
    for choices in ("|".join(CHOICES), "simulator|textworld", "put|move"):
        assert choices in shown


def commands(group: Any = None, words: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every command and group of commands, as what is typed."""
    group = group or typer.main.get_command(app)
    yield words
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, (*words, name))


def test_all_commands_write_their_options_in_one_style(capsys: pytest.CaptureFixture[str]) -> None:
    """Types as they are typed and not as Python has them, defaults without parentheses, sentences to their ends."""
    several = list(commands())
    assert ("buffer", "merge") in several and ("games", "generate") in several
    for words in several:
        assert run_oreo(*words, "--help") == 0
        options = capsys.readouterr().out.partition("\n")[2]
        assert not re.search(r"list\[| range>|<[^<>\n]*\||default: \(|\w\.\.\.$", options, re.MULTILINE), words
