"""What may be said to choose games, and how it is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.data.selection import (
    FloorPlans,
    check_floor_plans,
    check_objects,
    check_task_types,
    split_task_types,
    without_task_types,
)
from oreo.envs.alfworld.game import TASK_TYPES
from oreo.envs.alfworld.package_data import room_of
from oreo.errors import DataError, UsageError

from .folders import add_game, names


@pytest.mark.parametrize(
    ("given", "read"),
    [
        (None, None),
        ("Kitchen", ("Kitchen",)),
        ("livingroom", ("LivingRoom",)),
        (7, ("FloorPlan7",)),
        ("430", ("FloorPlan430",)),
        (["FloorPlan7", 7, "kitchen", "floorplan07"], ("FloorPlan7", "Kitchen")),
    ],
)
def test_rooms_floor_plans_and_numbers_are_read_in_any_case(given: FloorPlans | None, read: object) -> None:
    assert check_floor_plans(given) == read


@pytest.mark.parametrize("given", ["Kichen", "FloorPlan31", 0, 200, 431, -3, True, "", "FloorPlan", None, 3.5])
def test_an_unknown_floor_plan_is_one_line_with_the_rooms_in_it(given: object) -> None:
    with pytest.raises(UsageError) as caught:
        check_floor_plans([given])  # type: ignore[list-item]
    message = str(caught.value)
    assert f"unknown floor plan {given!r}: choose from Kitchen, LivingRoom" in message and "\n" not in message
    assert given != "Kichen" or "did you mean 'Kitchen'?" in message


def test_every_floor_plan_of_alfworld_is_in_the_room_it_should_be() -> None:
    for room in package_data.ROOMS:
        for heldout in (False, True):
            assert {room_of(name) for name in package_data.floor_plans(room, heldout)} == {room}
    assert room_of("FloorPlan_Train1_1") == room_of("") == ""


def test_nothing_to_choose_from_is_refused() -> None:
    with pytest.raises(UsageError, match="floor_plans is empty"):
        check_floor_plans([])
    with pytest.raises(UsageError, match="objects is empty"):
        check_objects(())
    with pytest.raises(UsageError, match="objects: 3 is no kind of object"):
        check_objects(["Mug", 3])  # type: ignore[list-item]
    assert check_objects(["Mug", "Mug"]) == ("Mug",) and check_objects("mug") == ("mug",)


def test_task_types_select(data: Path) -> None:
    add_game(data, "a-Mug")
    name = add_game(data, "look-Mug", task_type="look_at_obj_in_light")
    assert names(data, task_types=check_task_types("look_at_obj_in_light")) == [name]
    with pytest.raises(DataError, match="none of its 2 games is of type pick_two_obj_and_place"):
        names(data, task_types=("pick_two_obj_and_place",))
    with pytest.raises(UsageError, match="did you mean 'look_at_obj_in_light'"):
        check_task_types(["look_at_object_in_light"])
    with pytest.raises(UsageError, match="empty"):
        check_task_types([])


def test_floor_plans_and_objects_select(data: Path) -> None:
    mug = add_game(data, "a-Mug", floor_plan="FloorPlan12")
    book = add_game(data, "b-Book", floor_plan="FloorPlan301", object="Book")
    cup = add_game(data, "c-Cup", floor_plan="FloorPlan7", object="Cup")

    def chosen(**given: Any) -> list[str]:
        places, kinds = check_floor_plans(given.get("floor_plans")), check_objects(given.get("objects"))
        return names(data, floor_plans=places, objects=kinds)

    assert chosen() == [mug, book, cup]
    assert chosen(floor_plans="Kitchen") == [mug, cup]
    assert chosen(floor_plans=["bedroom", 12]) == [mug, book]
    assert chosen(floor_plans="12") == chosen(floor_plans=12) == chosen(floor_plans=["floorplan12"]) == [mug]
    assert chosen(objects="MUG") == [mug]
    assert chosen(objects=["mug", "book"], floor_plans="Bedroom") == [book]
    with pytest.raises(DataError, match="none of its 3 games is in Bathroom and about Mug, Cup$"):
        chosen(floor_plans="Bathroom", objects=["mug", "cup"])
    with pytest.raises(UsageError, match=r"no game is about the object 'mugg'; choose from .* .did you mean 'Mug'"):
        chosen(objects="mugg")


def test_a_splits_name_may_hold_a_task_type_out_or_have_it_alone() -> None:
    kind = "pick_two_obj_and_place"
    others = tuple(task_type for task_type in TASK_TYPES if task_type != kind)
    assert split_task_types("train") == ("train", TASK_TYPES)
    assert split_task_types(f"generated_unseen_without_{kind}") == ("generated_unseen", others)
    assert split_task_types(f"generated_unseen_only_{kind}") == ("generated_unseen", (kind,))
    with pytest.raises(UsageError, match="unknown task type 'pick_two'"):
        split_task_types("train_without_pick_two")


def test_task_types_are_held_out_unless_none_is_left() -> None:
    assert without_task_types(TASK_TYPES, None) == TASK_TYPES
    assert without_task_types(TASK_TYPES, TASK_TYPES[:4]) == TASK_TYPES[4:]
    for asked, held_out in ((TASK_TYPES[:1], TASK_TYPES[0]), ((), None)):
        with pytest.raises(UsageError, match="no task type is left"):
            without_task_types(asked, held_out)
