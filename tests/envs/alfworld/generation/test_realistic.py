"""Houses furnished as the real ones are."""

from __future__ import annotations

from collections import Counter

import pytest

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.generation.generator import generate_game
from oreo.envs.alfworld.generation.problem import encode
from oreo.envs.alfworld.generation.settings import REALISTIC

from .drawn_games import facts, kinds


@pytest.mark.parametrize("heldout", [False, True])
def test_without_limits_a_house_has_all_the_furniture_of_its_floor_plan(heldout: bool) -> None:
    for index in range(6):
        game = generate_game(index, max_receptacles=None, max_objects=None, heldout=heldout)
        listed = {encode(receptacle.id) for receptacle in package_data.floor_plan(game.floor_plan).receptacles}
        assert listed <= set(kinds(game, "receptacleType"))
        assert len(kinds(game, "objectType")) >= 10


def test_the_furniture_of_every_floor_plan_is_as_in_the_real_rooms_and_only_what_has_its_place_opens() -> None:
    game = generate_game(0, floor_plans="FloorPlan1", **REALISTIC)
    furniture = kinds(game, "receptacleType")
    assert Counter(furniture.values())["Cabinet"] == 9 and Counter(furniture.values())["Drawer"] == 9
    opens = Counter(furniture[name] for (name,) in facts(game, "openable"))
    assert opens == {"Cabinet": 8, "Drawer": 8, "Fridge": 1, "Microwave": 1}
