"""What a generated game depends on, and the name that says it."""

from __future__ import annotations

import pytest
from hypothesis import given

from oreo.envs.alfworld.game import TASK_TYPES
from oreo.envs.alfworld.generation.generator import game_by_name, generate_game
from oreo.envs.alfworld.generation.settings import GeneratorSettings, is_generated, parse_name
from oreo.errors import UsageError

from .drawn_games import all_settings


@given(all_settings)
def test_a_name_says_every_setting(settings: GeneratorSettings) -> None:
    assert parse_name(str(settings)) == settings
    assert is_generated(str(settings))


def test_the_names_of_games_without_narrowing_are_as_they_always_were() -> None:
    assert str(GeneratorSettings(index=7)) == "generated/0/7/put-8-14"
    assert str(GeneratorSettings(1, 2, True, "move", TASK_TYPES[:1], None, 9)) == (
        "generated_unseen/1/2/move-all-9-pick_and_place_simple"
    )


def test_equal_settings_are_one_game_however_they_are_put() -> None:
    names = {
        str(GeneratorSettings(floor_plans=plans, objects=objects))
        for plans in (["FloorPlan12", "Bathroom"], ("bathroom", 12), ["12", "BATHROOM", 12, 403])
        for objects in ("Mug", ["mug"], ("MUG", "mug"))
    }
    assert names == {"generated/0/0/put-8-14-plans=Bathroom+12-objects=Mug"}


@pytest.mark.parametrize(
    "name",
    ["", "generated", "generated/0/1", "generated/0/1/put-8", "generated/-1/0/put-8-14", "generated/0/01/put-8-14",
     "generated/0/1/put-8-14-plans=", "generated/0/1/put-8-14-plans=FloorPlan1", "generated/0/1/put-8-14-steps=5",
     "generated/0/1/put-8-14-seed=1", "generated/0/1/put-8-14-mix=even", "generated/0/1/put-8-14-distractors=4=4",
     "generated/0/1/put-8-14-objects=Mug-plans=1", "elsewhere/0/1/put-8-14",
     "generated/0/1/shove-8-14", "generated/0/1/put-8-14-pick_up", "generated/0/1/put-2-14",
     "json_2.1.1/train/a/b/game.tw-pddl"],
)  # fmt: skip
def test_a_wrong_name_is_told_in_one_line(name: str) -> None:
    with pytest.raises(UsageError, match="is no generated game") as caught:
        game_by_name(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [{"max_receptacles": 2}, {"max_objects": 0}, {"max_objects": 3.5}, {"seed": -1}, {"seed": True}, {"dialect": "get"},
     {"task_types": []}, {"task_types": ["pick"]}, {"task_types": "pick_and_place"}, {"heldout": "yes"},
     {"floor_plans": []}, {"floor_plans": "FloorPlan99"}, {"floor_plans": True}, {"objects": "Mugg"}, {"objects": ()},
     {"objects": "Fridge"}, {"distractors": -1}, {"distractors": 13}, {"expert_steps": 10}, {"expert_steps": (9, 3)},
     {"expert_steps": (0, 3)}, {"task_mix": "odd"}, {"distractor": 3}],
)  # fmt: skip
def test_wrong_settings_are_told_in_one_line(settings: dict[str, object]) -> None:
    with pytest.raises(UsageError) as caught:
        generate_game(0, **settings)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
