"""What a problem says and no action changes, and problems that are refused."""

from __future__ import annotations

import pytest

from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.engines.world import FLAGS
from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.envs.alfworld.game import Game
from oreo.errors import DataError

from .kitchens import changed, wandered


@pytest.mark.parametrize(
    ("unknown", "named"),
    [
        (changed(pddl_problem=("(atLocation agent1 Loc_bar_3)", "")), "atLocation"),
        (changed(pddl_problem=("(openable Fridge_bar_1)", "(openable Apple_bar_1)")), "openable"),
        (changed(pddl_problem=("(openable Fridge_bar_1)", "(locked Fridge_bar_1)")), "locked"),
    ],
)
def test_a_problem_with_other_facts_is_named_when_the_game_is_loaded(unknown: Game, named: str) -> None:
    with pytest.raises(UnknownGameLogic, match=named):
        Simulator().reset(unknown)


@pytest.mark.parametrize(
    "malformed",
    [
        changed(pddl_problem=("(openable Fridge_bar_1)", "(openable Fridge_bar_9)")),
    ],
)
def test_a_fact_about_something_undeclared_is_refused_in_one_line(malformed: Game) -> None:
    with pytest.raises(DataError) as refusal:
        Simulator().reset(malformed)
    assert "\n" not in str(refusal.value)


def test_a_copy_of_a_state_is_another_state() -> None:
    world, state = wandered(1)
    for attribute in FLAGS.values():
        setattr(state, attribute, frozenset({attribute}))
    assert all(getattr(state.copy(), attribute) == {attribute} for attribute in FLAGS.values())
    world, state = wandered(1)
    other = state.copy()
    facts = world.fact_texts(state)
    assert world.fact_texts(other) == facts
    other.at, other.clean = "loc_bar_2", frozenset({"apple_bar_1"})
    assert world.fact_texts(state) == facts != world.fact_texts(other)


def test_an_object_can_be_where_it_is_and_where_a_receptacle_may_hold_its_kind() -> None:
    world, _ = wandered(0)
    places = ("loc_bar_1", "loc_bar_2", "loc_bar_3")
    assert [world.can_be_at("apple_bar_1", place) for place in places] == [True, False, False]
    assert [world.can_be_at("knife_bar_1", place) for place in places] == [True, False, False]
    assert not any(world.can_be_at("desklamp_bar_1", place) for place in places)
