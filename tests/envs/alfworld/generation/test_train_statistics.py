"""Figures of the train split: they are about what alfworld has, and each table adds up."""

from __future__ import annotations

import pytest

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.game import TASK_TYPES
from oreo.envs.alfworld.generation.train_statistics import (
    asked_for,
    plan_weights,
    room_things,
    task_counts,
    task_weights,
    unlisted,
)


def test_the_train_split_has_3553_games_in_the_rooms_that_alfred_poses_them_in() -> None:
    assert sum(sum(task_counts(task_type).values()) for task_type in TASK_TYPES) == 3553
    for task_type in TASK_TYPES:
        assert set(task_counts(task_type)) <= set(package_data.rooms_for(task_type))


@pytest.mark.parametrize("room", package_data.ROOMS)
def test_every_figure_of_a_room_is_about_kinds_and_floor_plans_that_there_are(room: str) -> None:
    kinds, receptacles = set(package_data.object_kinds()), set(package_data.receptacle_kinds())
    assert set(plan_weights(room)) <= {plan for held in (False, True) for plan in package_data.floor_plans(room, held)}
    assert sum(plan_weights(room).values()) == pytest.approx(1000, abs=12)
    for kind, (counts, places) in room_things(room).items():
        assert kind in kinds and set(places) <= receptacles
        assert min(counts.values()) >= 0 and sum(counts.values()) > 0 and min(places.values(), default=1) > 0
    for task_type in TASK_TYPES:
        things, targets = task_weights(task_type, room)
        assert set(things) <= kinds and set(targets) <= receptacles | {"DeskLamp", "FloorLamp"}
        assert bool(things) == (room in task_counts(task_type))


def test_what_keeps_less_than_its_weight_and_what_lists_lack_are_kinds_of_receptacles() -> None:
    receptacles = set(package_data.receptacle_kinds())
    for task_type in TASK_TYPES:
        assert set(asked_for(task_type)) <= receptacles
        assert all(0 <= share < 100 for share in asked_for(task_type).values())
    plans = [
        plan for room in package_data.ROOMS for held in (False, True) for plan in package_data.floor_plans(room, held)
    ]
    assert any(unlisted(plan) for plan in plans) and unlisted("FloorPlan999") == ()
    assert all(kind in receptacles and count > 0 for plan in plans for kind, count in unlisted(plan))
