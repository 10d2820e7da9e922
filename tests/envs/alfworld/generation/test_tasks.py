"""Which tasks there are for the settings, and how often they come up."""

from __future__ import annotations

import re

import pytest

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.game import TASK_TYPES
from oreo.envs.alfworld.generation.generator import generate_game
from oreo.envs.alfworld.generation.houses import draw_game
from oreo.envs.alfworld.generation.settings import GeneratorSettings
from oreo.errors import UsageError

from .drawn_games import LIMITS


def test_the_order_in_which_task_types_are_named_does_not_matter() -> None:
    assert generate_game(1, task_types=TASK_TYPES[:3]) == generate_game(1, task_types=TASK_TYPES[2::-1])
    assert generate_game(1, task_types=TASK_TYPES) == generate_game(1)


@pytest.mark.parametrize(
    "settings",
    [{"floor_plans": "FloorPlan9"}, {"floor_plans": "FloorPlan1", "heldout": True},
     {"floor_plans": [401, 1], "task_types": "look_at_obj_in_light"}, {"objects": ["Mug", "Towel"]},
     {"objects": "Pillow", "task_types": "pick_heat_then_place_in_recep"},
     {"objects": "Mug", "floor_plans": "Bathroom"},
     {"task_types": ["pick_heat_then_place_in_recep", "pick_and_place_simple"], "floor_plans": "Bedroom"},
     {"expert_steps": (1, 1), "task_types": "pick_and_place_simple"}],
)  # fmt: skip
def test_settings_that_nothing_meets_are_told_in_one_line(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        generate_game(0, **settings)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("limits", LIMITS, ids=["small", "unlimited"])
@pytest.mark.parametrize(
    ("plans", "heldout"), [(["FloorPlan12"], False), (["Kitchen"], True), ([301, "Bathroom"], False)]
)
def test_games_are_in_the_floor_plans_asked_for(plans: list[object], heldout: bool, limits: dict[str, object]) -> None:
    asked = GeneratorSettings(floor_plans=plans).floor_plans or ()  # type: ignore[arg-type]
    for index in range(6):
        plan = generate_game(index, floor_plans=plans, heldout=heldout, **limits).floor_plan
        assert plan in asked or package_data.floor_plan(plan).room in asked
        assert plan in package_data.floor_plans(package_data.floor_plan(plan).room, heldout)


@pytest.mark.parametrize("limits", LIMITS, ids=["small", "unlimited"])
def test_tasks_are_about_the_objects_asked_for(limits: dict[str, object]) -> None:
    games = [generate_game(index, objects=["mug", "Pillow"], **limits) for index in range(12)]
    assert {game.params["object_target"] for game in games} == {"Mug", "Pillow"}


@pytest.mark.parametrize("task_type", TASK_TYPES)
def test_every_real_task_sentence_comes_up(task_type: str) -> None:
    sentences = set()
    for index in range(40):
        game = draw_game(GeneratorSettings(index=index, task_types=(task_type,)))
        sentences.add(re.sub(rf"\b{str(game.params['object_target']).lower()}\b", "X", game.task).split(" X")[0])
        assert game.dialect == "put" and game.task.endswith(".")
    assert len(sentences) == 2
