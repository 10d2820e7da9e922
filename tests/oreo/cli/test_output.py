"""What commands print of what others wrote: nothing steers the terminal, and no markup is taken for ours."""

from __future__ import annotations

import contextlib
import io
import json
import math
import warnings
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.cli.output import print_json, print_pairs
from oreo.data.buffer import TrajectoryBuffer
from oreo.text import steers
from oreo.trajectory import Candidate, Step, Trajectory

EVIL = "\x1b[2J\x1b]0;t\x07\x9b31m\x7f\x85\u202e\u2066\u200b[bold]b[/nope] [link=http://a.b]c[/link] :smile: \r\nforged"

HOSTILE_ENV = '''
from oreo.envs import TextEnv
EVIL = {evil!r}

class Hostile(TextEnv):
    """{docs}"""
    max_steps = 3

    def start(self, rng):
        return EVIL

    def info(self):
        return {{"task": EVIL, "task_type": EVIL, "game": EVIL, "admissible_commands": [EVIL, "go"]}}

    def act(self, text):
        if text == "fail":
            raise ValueError(EVIL)
        return EVIL, 1.0, True

    def expert_action(self):
        return {action}
'''


def harmless(text: str) -> bool:
    return not any(steers(character) for character in text.replace("\n", ""))


@pytest.fixture
def buffer(tmp_path: Path) -> Path:
    """A buffer in which every text is hostile."""
    folder = tmp_path / "hostile"
    step = Step(
        EVIL, EVIL, 1.0, EVIL, True, (EVIL,), candidates=(Candidate(EVIL, -1.0, 0.5), Candidate("go", -2.0, 0.1))
    )
    names = {"task": EVIL, "task_type": EVIL, "game": EVIL, "dialect": EVIL, "grade": EVIL, "agent": EVIL}
    with TrajectoryBuffer(folder) as stored:
        for won in (True, False):
            kwargs: dict[str, object] = {"data": EVIL}
            stored.append(Trajectory(EVIL, (step, step), EVIL, True, False, won, kwargs, checkpoint=EVIL, **names))
    return folder


def test_a_hostile_buffer_is_described_and_replayed_harmlessly(oreo, buffer: Path) -> None:
    for command in (["buffer", "info", buffer], ["replay", buffer], ["replay", buffer, "--episode", 1]):
        code, out, error = oreo(*command)
        assert (code, error) == (0, "")
        assert harmless(out) and "[bold]b[/nope] [link=http://a.b]c[/link] :smile:" in out
        assert not any(line.startswith("forged") for line in out.splitlines())
    code, out, _ = oreo("buffer", "info", buffer, "--json")
    assert code == 0 and harmless(out)
    assert any(EVIL in facts for facts in json.loads(out).values() if isinstance(facts, dict))


@pytest.mark.parametrize("action", ["EVIL", "'fail'"])
def test_a_hostile_environment_is_played_harmlessly(oreo, tmp_path: Path, action: str) -> None:
    (tmp_path / "evil.py").write_text(HOSTILE_ENV.format(evil=EVIL, docs="Evil [/nope].", action=action))
    env = ["--env", "evil.py:Hostile", "--agent", "expert"]
    for command in (
        ["watch", *env],
        ["eval", *env, "--episodes", 2],
        ["eval", *env, "--episodes", 2, "--json"],
        ["collect", *env, "--episodes", 2, "--into", "b[bold]"],
        ["collect", *env, "--episodes", 2, "--into", "c", "--json"],
    ):
        code, out, error = oreo(*command)
        assert code == (1 if action == "'fail'" else 0), error
        assert harmless(out) and harmless(error)
        assert error.count("\n") <= (3 if action == "'fail'" and command[0] == "collect" else 1)  # a line an episode


def test_hostile_names_are_told_harmlessly(oreo) -> None:
    for command in (
        [EVIL],
        ["eval", f"--{EVIL}"],
        ["eval", "--agent", EVIL],
        ["eval", "--agent", "random", "--env", EVIL],
        ["eval", "--agent", "random", "--env", f"{EVIL}.py:A"],
        ["eval", "--agent", "random", "--env-arg", f"split={EVIL}"],
        ["collect", "--into", "b", "--episodes", EVIL],
        ["replay", EVIL],
        ["buffer", "info", EVIL],
        ["games", "info", "--data", EVIL],
        ["recipes", "show", EVIL],
        ["train", EVIL, "--output", EVIL],
    ):
        code, out, error = oreo(*command)
        assert code in (1, 2) and out == ""
        assert harmless(error) and error.count("\n") == 1 and error.startswith("oreo: ")


def test_games_in_a_folder_of_hostile_name_are_counted_harmlessly(oreo) -> None:
    folder = "a[bold]\x1b[2J\u202e[/nope]"
    assert oreo("games", "generate", "--count", 1, "--output", folder)[0] == 0
    for options in ([], ["--json"]):
        code, out, error = oreo("games", "info", "--data", folder, *options)
        assert (code, error) == (0, "") and harmless(out) and "a[bold]" in out


def test_warnings_and_errors_are_one_harmless_line(oreo, capsys, monkeypatch) -> None:
    def warn(*_: object, **__: object) -> None:
        warnings.warn(EVIL, stacklevel=1)
        raise OSError(EVIL)

    monkeypatch.setattr("oreo.eval.evaluate.plan_games", warn)
    _, out, error = oreo("eval", "--agent", "random")
    assert out == "" and error.count("\n") == 2 and harmless(error)


@given(
    st.recursive(
        st.text() | st.floats() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
    )
)
def test_json_holds_the_value_and_escapes_what_is_not_seen(value: object) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print_json([value])
    written = out.getvalue()
    assert harmless(written)
    written.encode()

    def finite(item: object) -> object:
        if isinstance(item, dict):
            return {key: finite(inner) for key, inner in item.items()}
        if isinstance(item, list):
            return [finite(inner) for inner in item]
        return None if isinstance(item, float) and not math.isfinite(item) else item

    assert json.loads(written) == [finite(value)]


@given(st.dictionaries(st.text(), st.text() | st.dictionaries(st.text(), st.integers())))
def test_pairs_are_a_line_each(pairs: dict[str, object]) -> None:
    with contextlib.redirect_stdout(io.StringIO()) as out:
        print_pairs(pairs)
    assert out.getvalue().count("\n") == len(pairs) and harmless(out.getvalue())
