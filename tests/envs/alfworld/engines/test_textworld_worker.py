"""A game file is text from a stranger: no engine, command or container of games runs any of it as Python."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from helpers.commands import run_oreo
from oreo.envs.alfworld.data.games import pack_games
from oreo.envs.alfworld.engines.engine import Engine
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.engines.textworld_engine import TextWorldEngine
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.generation.generator import generate_game
from oreo.envs.alfworld.generation.writer import write_game
from oreo.errors import DataError, OreoError

WELCOME = "-= Welcome to TextWorld, ALFRED! =-"
PLACES = {
    "intro": (WELCOME, WELCOME + "{%s}"),
    "feedback": ("You close the {r.name}", "You close the {r.name}{%s}"),
    "list": ("[{o.indefinite + ' ' + o.name |", "[{%s |"),
    "template": ('"close {r}"', '"close {r} {%s}"'),
}


def game() -> Game:
    return generate_game(3, max_receptacles=6, max_objects=6)


def with_expression(expression: str, place: str) -> Game:
    old, new = PLACES[place]
    assert old in game().grammar
    return replace(game(), grammar=game().grammar.replace(old, new.replace("%s", expression)))


@pytest.fixture(scope="module")
def original() -> Iterator[TextWorldEngine]:
    engine = TextWorldEngine()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def forgetful() -> Iterator[TextWorldEngine]:
    engine = TextWorldEngine(remember=False)
    yield engine
    engine.close()


@pytest.fixture
def patient(original: TextWorldEngine, forgetful: TextWorldEngine, monkeypatch: pytest.MonkeyPatch) -> TextWorldEngine:
    """One whose process goes on after a game that it refused, as `forgetful` does then: a new one takes a second."""
    for engine in (original, forgetful):
        monkeypatch.setattr(engine, "close", lambda: None)
    return original


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("remember", [True, False])
def test_an_expression_that_calls_is_refused_by_name_on_both_engines(
    place: str, remember: bool, patient: TextWorldEngine, forgetful: TextWorldEngine, tmp_path: Path
) -> None:
    mark = tmp_path / "PWNED"
    hostile = with_expression(f"str(__import__('pathlib').Path('{mark}').touch())", place)
    engines: tuple[Engine, ...] = (Simulator(), patient) if remember else (forgetful,)
    for engine in engines:
        with pytest.raises(DataError, match="__import__.*nothing else of a game file is evaluated"):
            engine.reset(hostile)
    assert not mark.exists()


@pytest.mark.parametrize(
    "expression",
    [
        "open('x')",
        "r.name.upper()",
        "r.__class__",
        "r.name.__class__.__mro__",
        "print",
        "self",
        "context",
        "().__class__",
        "f'r'",
        "'a' 'b' * 99",
        "r.name if r else r",
        "lambda: r",
        "9 ** 9 ** 9",
        "r.name or exit()",
        "r.name + str(exit())",
    ],
)
def test_whatever_is_no_sum_of_names_and_quoted_texts_is_refused(expression: str, patient: TextWorldEngine) -> None:
    hostile = with_expression(expression, "feedback")
    for engine in (Simulator(), patient):
        with pytest.raises(OreoError):  # a name that stands for nothing is found out when it is to be said
            engine.reset(hostile)
            engine.step(next(command for command in engine.admissible_commands() if command.startswith("go to fridge")))
            engine.step("open fridge 1")
            engine.step("close fridge 1")


@pytest.mark.parametrize(
    ("expression", "says"),
    [("r", "fridge 1"), ("r.name or r.id", "fridge 1"), ("r.definite + ' ' + r.name", "the fridge 1"), ("'x'", "x")],
)
def test_what_games_do_write_reads_the_same_on_both_engines(
    expression: str, says: str, original: TextWorldEngine
) -> None:
    harmless = with_expression(expression, "feedback")
    for engine in (Simulator(), original):
        engine.reset(harmless)
        for command in ("go to fridge 1", "open fridge 1"):
            engine.step(command)
        assert f"You close the fridge 1{says}" in engine.step("close fridge 1")


@pytest.mark.parametrize(("engine", "container"), [("simulator", "folder"), ("textworld", "pack")])
def test_no_command_runs_a_downloaded_game(
    container: str, engine: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mark = tmp_path / "PWNED"
    hostile = with_expression(f"str(__import__('pathlib').Path('{mark}').touch())", "intro")
    data = tmp_path / "data"
    write_game(hostile, data)
    if container == "pack":
        pack_games(data, tmp_path / "games.pack")
        data = tmp_path / "games.pack"
    for command in (
        ["eval", "--agent", "random", "--episodes", "1"],
        ["watch", "--agent", "random"],
        ["collect", "--agent", "random", "--episodes", "1", "--into", str(tmp_path / "buffer")],
    ):
        options = ["--split", "train", "--env-arg", f"data={data}", "--env-arg", f"engine={engine}"]
        assert run_oreo(*command, *options) == 1
        error = capsys.readouterr().err
        assert "__import__" in error and "Traceback" not in error, error
        assert not mark.exists()
