"""A goal is recognised by what it says, and taken for no other."""

from __future__ import annotations

import pytest

from oreo.envs.alfworld.engines.pddl import parse_nested, parse_problem
from oreo.envs.alfworld.experts.task_goals import Looking, Placing, read_goal
from oreo.envs.alfworld.game import TASK_TYPES
from oreo.envs.alfworld.generation.generator import generate_game

from .goals import GOALS


def read(goal: str) -> Placing | Looking | None:
    return read_goal(parse_nested(goal.lower())[0])


def test_the_six_goals_are_recognised_by_what_they_say() -> None:
    assert {needed: read(goal) for needed, goal in GOALS.items()} == {
        "": Placing("mugtype", "cabinettype"),
        "Mug": Placing("mugtype", "cabinettype", count=2),
        "DeskLamp": Looking("mugtype", "desklamptype"),
        "SinkBasin": Placing("mugtype", "cabinettype", mark="clean"),
        "Microwave": Placing("mugtype", "cabinettype", mark="hot"),
        "Fridge": Placing("mugtype", "cabinettype", mark="cool"),
    }
    for task_type in TASK_TYPES:
        assert read_goal(parse_problem(generate_game(0, task_types=[task_type]).pddl_problem).goal) is not None


@pytest.mark.parametrize(
    ("needed", "old", "new"),
    [
        ("", "(inReceptacle ?o ?r)", ""),
        ("", "(inReceptacle ?o ?r)", "(inReceptacle ?o ?r) (opened ?r)"),
        ("", "(and (in", "(or (in"),
        ("", "(inReceptacle ?o ?r)", "(not (inReceptacle ?o ?r))"),
        ("Mug", "(not (= ?o1 ?o2))", ""),
        ("Mug", "?o2 MugType", "?o2 CupType"),
        ("Mug", "(inReceptacle ?o2 ?r)", "(isClean ?o2) (cleanable ?o2) (inReceptacle ?o2 ?r)"),
        ("Mug", "(exists (?o2 - object)", "(exists (?o2 - object ?r - receptacle)"),
        ("DeskLamp", "(isToggled ?ot)", "(isOn ?ot)"),
        ("DeskLamp", "(holds ?a ?o)", "(holds agent1 ?o)"),
        ("Fridge", "(coolable ?o)", ""),
        ("Fridge", "(coolable ?o)", "(heatable ?o)"),
        ("Fridge", "exists (?o", "forall (?o"),
    ],
)
def test_a_goal_that_says_something_else_is_not_taken_for_one_of_them(needed: str, old: str, new: str) -> None:
    assert old in GOALS[needed]
    assert read(GOALS[needed].replace(old, new)) is None
