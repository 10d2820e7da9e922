"""alfworld's hand-coded expert in both dialects, without alfworld's side effects."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.experts.handcoded import HandCodedExpert
from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.envs.alfworld.generation.generator import generate_game
from oreo.errors import DataError


def play(game: Game, seed: int = 0, steps: int = 100) -> tuple[list[str], bool]:
    """The expert's actions until it wins or the steps are over."""
    engine = Simulator()
    expert = HandCodedExpert(game, engine.reset(game), seed=seed)
    actions: list[str] = []
    while not engine.won and len(actions) < steps:
        actions.append(expert.action)
        expert.observe(actions[-1], engine.step(actions[-1]), engine.admissible_commands(), engine)
    return actions, engine.won


@pytest.mark.parametrize("dialect", ["put", "move"])
@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_it_wins_most_games_of_every_type_in_both_dialects(task_type: str, dialect: str) -> None:
    games = [generate_game(index, dialect=dialect, task_types=[task_type]) for index in range(8)]
    assert sum(play(game)[1] for game in games) >= 6


def test_the_first_action_is_look_as_in_alfworlds_own_wrapper() -> None:
    assert play(generate_game(0))[0][0] == "look"


def test_its_choices_come_from_its_seed_and_leave_the_process_alone() -> None:
    game = generate_game(5, task_types=["pick_two_obj_and_place"])
    random.seed(1)
    state = random.getstate()
    first = play(game, seed=4)
    assert random.getstate() == state
    random.seed(2)
    assert play(game, seed=4) == first


def test_a_copy_goes_on_by_itself() -> None:
    game = generate_game(2)
    engine = Simulator()
    expert = HandCodedExpert(game, engine.reset(game), seed=0)
    copy = expert.copy()
    expert.observe("look", engine.step("look"), engine.admissible_commands(), engine)
    assert copy.action == "look" and expert.action != "look"


def test_it_says_look_when_it_has_given_up() -> None:
    game = generate_game(2)
    engine = Simulator()
    expert = HandCodedExpert(game, engine.reset(game), seed=0)
    for _ in range(205):
        expert.observe("look", engine.step("look"), engine.admissible_commands(), engine)
    assert expert.action == "look"


def test_a_task_it_does_not_know_is_a_data_error() -> None:
    for game in (Game("g", "", "", "", task_type="dance"), Game("g", "", "", "", task_type=TASK_TYPES[0])):
        with pytest.raises(DataError, match="^g: alfworld's hand-coded expert cannot play this game"):
            HandCodedExpert(game, "Welcome", seed=0)


@pytest.mark.parametrize("variable", [None, "nowhere"])
def test_importing_alfworld_creates_no_folder_and_sets_no_variable(tmp_path: Path, variable: str | None) -> None:
    code = (
        "import os\n"
        "from oreo.envs.alfworld.experts.handcoded import _expert_module\n"
        "_expert_module()\n"
        "import alfworld\n"
        "print(os.environ.get('ALFWORLD_DATA'), alfworld.ALFWORLD_DATA)\n"
    )
    environment = {key: value for key, value in os.environ.items() if key != "ALFWORLD_DATA"}
    environment |= {"HOME": str(tmp_path), "PYTHONPATH": os.pathsep.join(entry for entry in sys.path if entry)}
    if variable is not None:
        variable = environment["ALFWORLD_DATA"] = str(tmp_path / variable)
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True, timeout=300
    )
    expected = variable or str(tmp_path / ".cache" / "alfworld")
    assert done.stdout.split() == [str(variable), expected]
    assert list(tmp_path.iterdir()) == []
