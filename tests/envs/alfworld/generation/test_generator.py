"""Generated games: the same series everywhere, games rebuilt from their names, and the steps they take."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings

from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.experts.explorer import Explorer
from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.envs.alfworld.generation.generator import game_by_name, generate_game, write_games
from oreo.envs.alfworld.generation.houses import draw_game
from oreo.envs.alfworld.generation.settings import REALISTIC, GeneratorSettings, parse_name
from oreo.envs.alfworld.generation.writer import write_game
from oreo.errors import DataError, UsageError

from .drawn_games import LIMITS, plain_settings


@settings(max_examples=30, deadline=None)
@given(plain_settings)
def test_a_game_is_rebuilt_from_its_name_byte_for_byte(settings: GeneratorSettings) -> None:
    game = draw_game(settings)
    assert draw_game(parse_name(game.name)) == game


def test_confirmed_games_are_rebuilt_from_their_names_too() -> None:
    for index in range(5):
        game = generate_game(index, seed=3, heldout=True, dialect="move", task_types=TASK_TYPES[3:1:-1], max_objects=5)
        assert game_by_name(game.name) == game


def test_the_series_is_the_same_in_every_process() -> None:
    code = (
        "import hashlib; from oreo.envs.alfworld.generation.generator import generate_game; "
        "print(hashlib.sha256(''.join(repr(generate_game(i)) for i in range(12)).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": s},
        ).stdout
        for s in ("1", "2")
    }
    assert len(digests) == 1


def test_the_series_never_changes_unnoticed() -> None:
    """A failure means that generated games of the same name differ from earlier releases: say so in the changelog."""
    problems = "".join(generate_game(index).pddl_problem for index in range(20))
    assert hashlib.sha256(problems.encode()).hexdigest()[:16] == "d02d1b9e002e0d4e"


def test_the_realistic_series_never_changes_unnoticed() -> None:
    """As above: what a game with `mix=real` holds is said by its name too."""
    problems = "".join(generate_game(index, **REALISTIC).pddl_problem for index in range(20))
    assert hashlib.sha256(problems.encode()).hexdigest()[:16] == "c59aaaf65c439f01"


def explorer_steps(game: Game) -> int:
    simulator = Simulator()
    explorer = Explorer(simulator.reset(game), game.task_type, game.params, game.dialect)
    steps = 0
    while not simulator.won:
        action = explorer.act()
        explorer.observe(action, simulator.step(action))
        steps += 1
    return steps


@pytest.mark.parametrize("limits", LIMITS, ids=["small", "unlimited"])
@pytest.mark.parametrize("span", [(4, 5), (12, 20)])
def test_the_explorer_needs_as_many_steps_as_asked_for(span: tuple[int, int], limits: dict[str, object]) -> None:
    for index in range(4):
        game = generate_game(index, expert_steps=span, **limits)
        assert span[0] <= explorer_steps(game) <= span[1]
        assert game_by_name(game.name) == game


def test_a_task_type_that_never_takes_so_long_gives_way_to_another() -> None:
    game = generate_game(0, expert_steps=(4, 4), task_types=["pick_and_place_simple", "pick_heat_then_place_in_recep"])
    assert game.task_type == "pick_and_place_simple" and explorer_steps(game) == 4


def test_settings_that_cannot_be_met_are_told_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="FloorPlan9 is a floor plan held out: ask for heldout=True"):
        write_games(2, tmp_path, floor_plans=9)
    assert list(tmp_path.iterdir()) == []


def test_wrong_calls_of_write_games_are_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="count=0"):
        write_games(0, tmp_path)
    with pytest.raises(UsageError, match="did you mean 'max_objects'"):
        write_games(1, tmp_path, max_object=3)
    with pytest.raises(UsageError, match="first=… says where"):
        write_games(1, tmp_path, index=3)
    with pytest.raises(UsageError, match="movable"):
        write_games(1, tmp_path / "movable")
    with pytest.raises(UsageError, match="is no generated game"):
        write_game(Game("json_2.1.1/train/x/y/game.tw-pddl", "", "", ""), tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        write_games(1, tmp_path / "file")
