"""A grammar of wrong command lines: real commands, real options, values that nobody should give. None is unforeseen."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oreo.cli import app, main
from oreo.text import steers

ROOT = Path(__file__).resolve().parents[3]
GUESS = f"{ROOT / 'examples' / 'guess.py'}:Guess"
# What is cheap, or comes to nothing, should all wrong values happen to be right ones.
CHEAP = {
    "quickstart": ["--fast", "--output", "file/inside"],
    "collect": ["--env", GUESS, "--agent", "random", "--episodes", "1", "--into", "b"],
    "train": ["nowhere", "--output", "o"],
    "eval": ["--env", GUESS, "--agent", "random", "--episodes", "1"],
    "iterate": ["--env", GUESS, "--rounds", "1", "--episodes", "1", "--output", "file/inside"],
    "watch": ["--env", GUESS, "--agent", "random", "--delay", "0"],
    "replay": ["nowhere"],
    "play": ["--env", "nowhere.py:World"],
    "browse": ["nowhere"],
    "envs": [],
    "envs list": [],
    "envs info": [GUESS],
    "envs check": ["nowhere.py:World"],
    "envs new": ["world", "--folder", "file/inside"],
    "agents": [],
    "recipes": [],
    "recipes show": ["nowhere"],
    "buffer info": ["nowhere"],
    "buffer head": ["nowhere"],
    "buffer filter": ["nowhere", "--where", "won", "--into", "c"],
    "buffer merge": ["nowhere", "--into", "c"],
    "buffer split": ["nowhere", "--share", "0.5", "--into", "c", "--rest", "d"],
    "buffer dedup": ["nowhere", "--into", "c"],
    "buffer sample": ["nowhere", "--count", "1", "--into", "c"],
    "buffer verify": ["nowhere"],
    "buffer translate": ["nowhere", "--to", "move", "--into", "c"],
    "check-model": ["nowhere"],
    "diagnose": ["nowhere"],
    "games generate": ["--count", "1", "--output", "g"],
    "games info": ["--data", "nowhere"],
    "games pack": ["--data", "nowhere", "--output", "p"],
}
AMOUNTS = {
    "--episodes",
    "--workers",
    "--batch-size",
    "--count",
    "--rounds",
    "--per-game",
    "--held-out",
    "--k",
    "--depth",
    "--budget",
    "--best-of",
}
PLACES = {"--into", "--output", "--data"}
LEFT_OUT = {"--ray", "--help", "-h"}
"""Starting a cluster is no wrong command line, and help is no error."""

WORDS = ["", " ", "-", "0", "-1", "1.5", "nan", "inf", "-inf", "1e400", "true", "null", "[]", "{}", '{"a":', "[" * 99]
WORDS += [
    "=",
    "a=",
    "=b",
    "a=b",
    "self=true",
    "self=1",
    "max_steps=-1",
    "kwargs=1",
    "render_mode=1",
    "seed=1",
    "..",
    ":",
]
WORDS += [
    "nowhere.py:X",
    "file:X",
    "os:system",
    "a:b:c",
    "served:",
    "vllm:",
    "%s",
    "{0}",
    "\x1b[2J",
    "漢",
    "\u202e",
    "lr=1e400",
]
NUMBERS = ["", " ", "-1", "0", "x", "1.5", "nan", "1e3", "0x1", "--", "1,000", "½"]
NAMES = ["", "file", "file/inside", "/dev/null", "/dev/null/x", "/proc/x", "a" * 300, "b[bold]", "_x.journal"]
AGENTS = ["served:", "served:m", "vllm:", "nowhere.py:X", "./nowhere", "/proc/x", "file", "value=", "a" * 300, ":"]


built = functools.cache(typer.main.get_command)
"""The tree of commands: typer builds it anew for every call, which took longer than all that the calls do."""


def options_of(command: str) -> list[tuple[str, bool]]:
    """The options of a command, and whether they take a value."""
    group = built(app)
    for word in command.split():
        group = group.commands[word]  # type: ignore[attr-defined]
    parameters = [parameter for parameter in group.params if parameter.param_type_name == "option"]
    return [(parameter.opts[0], not parameter.is_flag) for parameter in parameters]  # type: ignore[attr-defined]


OPTIONS = {command: [option for option in options_of(command) if option[0] not in LEFT_OUT] for command in CHEAP}
for long_work in ("quickstart", "iterate"):  # with a place that can be used they would do it
    OPTIONS[long_work] = [option for option in OPTIONS[long_work] if option[0] != "--output"]


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    command = draw(st.sampled_from(sorted(CHEAP)))
    line = command.split() + CHEAP[command]
    for _ in range(draw(st.integers(0, 3)) if OPTIONS[command] else 0):
        option, takes_value = draw(st.sampled_from(OPTIONS[command]))
        line.append(option)
        if takes_value:
            values = NUMBERS if option in AMOUNTS else NAMES if option in PLACES else WORDS + NUMBERS
            values = AGENTS if option in ("--agent", "--model") else values
            free = st.text(max_size=8) if option not in AMOUNTS | PLACES | {"--agent", "--model"} else st.nothing()
            line.append(draw(st.sampled_from(values) | free))
    return line + draw(st.sampled_from([[], [], [], ["extra"], ["--nope"], ["--json=1"], ["-x"]]))


@contextlib.contextmanager
def scratch() -> Iterator[None]:
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        try:
            Path("file").write_text("no folder")
            yield
        finally:
            os.chdir(before)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(command_lines())
def test_no_wrong_command_line_is_unforeseen(line: list[str]) -> None:
    out, error = io.StringIO(), io.StringIO()
    tree = mock.patch.object(typer.main, "get_command", built)
    with scratch(), tree, contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        with pytest.raises(SystemExit) as exit_:
            main(line)
    told = [text for text in error.getvalue().splitlines() if not text.startswith("oreo: warning: ")]
    code = int(exit_.value.code or 0)
    assert code in (0, 1, 2)
    assert "foresee" not in error.getvalue() and "Traceback" not in error.getvalue(), error.getvalue()
    assert len(told) == (1 if code else 0), error.getvalue()
    assert not any(steers(char) for char in (out.getvalue() + error.getvalue()).replace("\n", ""))


def test_all_commands_are_in_the_grammar() -> None:
    root = built(app)
    names = set(root.commands)  # type: ignore[attr-defined]
    assert {command.split()[0] for command in CHEAP} == names
