"""What is in a house, and how often which task is drawn."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.game import TASK_TYPES
from oreo.envs.alfworld.generation.generator import generate_game
from oreo.envs.alfworld.generation.houses import draw_game
from oreo.envs.alfworld.generation.settings import GeneratorSettings

from .drawn_games import LIMITS, facts, kinds, plain_settings


@settings(max_examples=60, deadline=None)
@given(plain_settings)
def test_a_house_holds_what_its_task_needs_within_its_limits(settings: GeneratorSettings) -> None:
    game = draw_game(settings)
    things, furniture = kinds(game, "objectType"), kinds(game, "receptacleType")
    places = dict(facts(game, "inReceptacle"))
    assert len(furniture) <= (settings.max_receptacles or 99)
    assert len(things) <= (settings.max_objects or 999)
    assert set(places) == set(things) and set(places.values()) <= set(furniture)
    spots = [spot for _, spot in facts(game, "receptacleAtLocation")] + [spot for _, spot in facts(game, "atLocation")]
    if not settings.unlimited:
        assert len(spots) == len(set(spots)) == len(furniture) + 1
    assert spots[-1] not in spots[:-1]

    wanted = [name for name, kind in things.items() if kind == game.params["object_target"]]
    assert len(wanted) >= (2 if game.task_type == "pick_two_obj_and_place" else 1)
    if game.task_type == "look_at_obj_in_light":
        assert [(lamp,) for lamp, kind in things.items() if kind == "DeskLamp"] == facts(game, "toggleable")
    else:
        target = game.params["parent_target"]
        assert target in furniture.values()
        assert all(furniture[places[name]] != target for name in wanted)
        assert (f"{target}Type", f"{game.params['object_target']}Type") in facts(game, "canContain")
    for word, ability, appliance in (
        ("clean", "cleanable", "SinkBasin"),
        ("heat", "heatable", "Microwave"),
        ("cool", "coolable", "Fridge"),
    ):
        if f"pick_{word}_" in game.task_type:
            assert appliance in furniture.values() and {(name,) for name in wanted} <= set(facts(game, ability))


def test_training_and_held_out_games_share_no_floor_plan() -> None:
    training = {draw_game(GeneratorSettings(index=index)).floor_plan for index in range(400)}
    heldout = {draw_game(GeneratorSettings(index=index, heldout=True)).floor_plan for index in range(400)}
    assert len(training) > 80 and len(heldout) == 24
    assert not training & heldout


def test_task_types_come_up_evenly_and_only_where_alfred_poses_them() -> None:
    drawn = [draw_game(GeneratorSettings(index=index)) for index in range(600)]
    counts = Counter(game.task_type for game in drawn)
    assert all(70 < counts[task_type] < 130 for task_type in TASK_TYPES)
    for game in drawn:
        assert package_data.floor_plan(game.floor_plan).room in package_data.rooms_for(game.task_type)
    assert {game.task_type for game in (generate_game(i, task_types="look_at_obj_in_light") for i in range(3))} == {
        "look_at_obj_in_light"
    }


def test_the_real_mix_of_task_types_is_that_of_the_train_split() -> None:
    counts = Counter(draw_game(GeneratorSettings(index=index, task_mix="real")).task_type for index in range(1500))
    for task_type, real in zip(TASK_TYPES, (790, 308, 650, 459, 533, 813), strict=True):
        assert counts[task_type] / 1500 == pytest.approx(real / 3553, abs=0.035)


@pytest.mark.parametrize("limits", [{"max_objects": 20}, *LIMITS[1:]], ids=["small", "unlimited"])
@settings(max_examples=25, deadline=None)
@given(index=st.integers(0, 10**6), distractors=st.integers(0, 18))
def test_there_are_exactly_as_many_distractors_as_asked_for(
    limits: dict[str, Any], index: int, distractors: int
) -> None:
    game = draw_game(GeneratorSettings(index=index, distractors=distractors, **limits))
    things = list(kinds(game, "objectType").values())
    needed = {game.params["object_target"], game.params["toggle_target"]}
    assert sum(kind not in needed for kind in things) == distractors
    assert things.count(str(game.params["object_target"])) == 1 + (game.task_type == "pick_two_obj_and_place")
