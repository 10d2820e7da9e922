"""What is read from the alfworld package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from oreo.envs.alfworld import package_data
from oreo.errors import DataError, UsageError

PLANS = [
    name for room in package_data.ROOMS for heldout in (False, True) for name in package_data.floor_plans(room, heldout)
]


def test_every_floor_plan_is_either_for_training_or_held_out() -> None:
    assert len(PLANS) == len(set(PLANS)) == 120
    assert all(len(package_data.floor_plans(room, heldout=True)) == 6 for room in package_data.ROOMS)


def test_training_shows_no_floor_plan_of_alfreds_unseen_splits() -> None:
    unseen = {9, 10, 29, 215, 219, 226, 308, 315, 325, 404, 424, 425}  # those without a game in train
    training = {name for room in package_data.ROOMS for name in package_data.floor_plans(room, heldout=False)}
    assert not training & {f"FloorPlan{number}" for number in unseen}


@pytest.mark.parametrize("name", PLANS[::7])
def test_a_floor_plan_has_furniture_of_known_kinds_with_ids_of_their_own(name: str) -> None:
    plan = package_data.floor_plan(name)
    ids = [receptacle.id for receptacle in plan.receptacles]
    assert len(ids) == len(set(ids)) >= 6
    assert {receptacle.kind for receptacle in plan.receptacles} <= set(package_data.receptacle_kinds())
    assert plan.points
    for receptacle in plan.receptacles:  # a sink's name is made of both ends of its id
        assert receptacle.id.endswith(receptacle.kind) == receptacle.kind.endswith("Basin")


def test_the_dialects_differ_in_putting_down_arriving_sinks_and_help_only() -> None:
    def lines(dialect: str) -> set[str]:
        return {line.strip() for text in package_data.game_logic(dialect) for line in text.splitlines()}

    only_put = lines("put") - lines("move")
    assert len(only_put) == 4
    assert sum("put {o} in/on {r}" in line or "in/on the {r.name}" in line for line in only_put) == 2
    assert any("{lend.name}" in line for line in only_put)
    assert "(receptacleType ?r SinkType)" in only_put
    assert not any("help" in line for line in lines("put"))


def test_an_unknown_dialect_is_refused() -> None:
    with pytest.raises(UsageError, match="choose from put, move"):
        package_data.game_logic("shove")


def test_another_alfworld_whose_logic_we_do_not_know_is_an_error_not_a_wrong_game(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("alfred.pddl", "alfred.twl2"):
        text = (package_data.package_folder() / "data" / name).read_text()
        (tmp_path / "data").mkdir(exist_ok=True)
        (tmp_path / "data" / name).write_text(text.replace("{o} to {r}", "{o} onto {r}"))
    monkeypatch.setattr(package_data, "package_folder", lambda: tmp_path)
    with pytest.raises(DataError, match="cannot be derived"):
        package_data.game_logic.__wrapped__("put")


def test_reading_the_package_does_not_import_it() -> None:
    code = (
        "import sys; from oreo.envs.alfworld import package_data as l; l.game_logic('put'); "
        "l.floor_plan('FloorPlan1'); l.holds('Fridge'); l.goal_template('pick_two_obj_and_place'); "
        "print('alfworld' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
