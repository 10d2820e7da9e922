"""An entry of an index: what a game says of itself, and what is no entry."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from oreo.envs.alfworld.data.entry import Entry, describe, whole
from oreo.envs.alfworld.generation.generator import generate_game

ENTRY = Entry("a/game.tw-pddl", "pick_and_place_simple", "FloorPlan7", "Mug", "put", "before 0.4", 1)


@pytest.mark.parametrize(("dialect", "rules"), [("put", "before 0.4"), ("move", "0.4")])
def test_an_entry_says_what_the_game_says_and_of_which_alfworld_it_is(dialect: str, rules: str) -> None:
    game = replace(generate_game(0, dialect=dialect), human_goals=("Put it down.", "", "Thanks"))
    entry = describe(game)
    assert entry == Entry(
        game.name, game.task_type, game.floor_plan, str(game.params["object_target"]), dialect, rules, 2
    )
    assert whole(entry)


@pytest.mark.parametrize(
    "change", [{"pddl_domain": "(define (domain alfred))"}, {"pddl_domain": "("}, {"grammar": "action {"}]
)
def test_a_game_that_the_simulator_does_not_know_is_an_entry_all_the_same(change: dict[str, str]) -> None:
    assert describe(replace(generate_game(0), **change)).rules == "unknown"


def test_a_game_that_does_not_say_what_it_is_about_has_no_object() -> None:
    for params in ({}, {"object_target": None}, {"object_target": ""}):
        assert describe(replace(generate_game(0), params=params)).object == ""


@pytest.mark.parametrize("change", [{"name": None}, {"object": 3}, {"rules": ["0.4"]}, {"goals": "1"}, {"goals": None}])
def test_values_of_other_types_make_no_entry(change: dict[str, Any]) -> None:
    assert whole(ENTRY) and not whole(replace(ENTRY, **change))
