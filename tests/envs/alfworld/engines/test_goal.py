"""When a goal holds, and goals that are refused."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld.engines.goal import compile_goal
from oreo.envs.alfworld.engines.pddl import parse_nested, typed_list
from oreo.envs.alfworld.engines.relations import holds_test
from oreo.envs.alfworld.engines.rules import CHANGING
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.engines.world import FLAGS, State, World
from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.envs.alfworld.game import Game
from oreo.errors import DataError

from .kitchens import GOALS, changed, play, wandered


@pytest.mark.parametrize(
    ("unknown", "named"),
    [
        (changed(pddl_problem=("(isClean ?o)", "(isShiny ?o)")), "isshiny"),
    ],
)
def test_a_goal_about_an_unknown_predicate_is_named_when_the_game_is_loaded(unknown: Game, named: str) -> None:
    with pytest.raises(UnknownGameLogic, match=named):
        Simulator().reset(unknown)


@pytest.mark.parametrize(
    "malformed",
    [
        changed(pddl_problem=("(isClean ?o)", "(isClean ?x)")),
    ],
)
def test_a_goal_with_an_unbound_variable_is_refused_in_one_line(malformed: Game) -> None:
    with pytest.raises(DataError) as refusal:
        Simulator().reset(malformed)
    assert "\n" not in str(refusal.value)


def test_the_goal_stops_holding_when_it_is_undone(kitchen: Simulator) -> None:
    play(kitchen, "go to countertop 1", "take apple 2 from countertop 1", "go to sinkbasin 1")
    play(kitchen, "clean apple 2 with sinkbasin 1", "go to cabinet 2", "open cabinet 2", "put apple 2 in/on cabinet 2")
    assert kitchen.won
    kitchen.step("take apple 2 from cabinet 2")
    assert not kitchen.won


def is_so(tree: Any, bound: dict[str, str], world: World, state: State) -> bool:
    """Whether a formula holds, by trying all things for its variables."""
    word, *parts = tree
    if word in ("exists", "forall"):
        kinds = typed_list(parts[0])
        of_kinds = [[thing for thing, kind in world.types.items() if kind == wanted] for wanted in kinds.values()]
        tries = (
            is_so(parts[1], bound | dict(zip(kinds, things, strict=True)), world, state)
            for things in product(*of_kinds)
        )
        return any(tries) if word == "exists" else all(tries)
    if word == "not":
        return not is_so(parts[0], bound, world, state)
    if word == "imply":
        return not is_so(parts[0], bound, world, state) or is_so(parts[1], bound, world, state)
    if word in ("and", "or"):
        return (all if word == "and" else any)([is_so(part, bound, world, state) for part in parts])
    names = [bound.get(name, name) for name in parts]
    return names[0] == names[1] if word == "=" else holds_test(word)(world, state, tuple(names))


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from(GOALS))
def test_a_goal_holds_where_trying_all_things_for_its_variables_says_so(seed: int, text: str) -> None:
    world, state = wandered(seed, text)
    goal = parse_nested(text.lower())[0]
    assert compile_goal(goal, world).holds(state) == is_so(goal, {}, world, state)


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.integers(0, 2**32), st.sampled_from(GOALS))
def test_a_goal_depends_on_no_more_than_it_says(seed: int, other: int, text: str) -> None:
    """Between two states that agree in the predicates named, it does not change."""
    world, state = wandered(seed, text)
    _, mixed = wandered(other, text)
    goal = compile_goal(parse_nested(text.lower())[0], world)
    assert goal.changed_by <= CHANGING
    for predicate in goal.changed_by & FLAGS.keys():
        setattr(mixed, FLAGS[predicate], getattr(state, FLAGS[predicate]))
    mixed.at, mixed.held, mixed.inside, mixed.present = state.at, state.held, state.inside, state.present
    assert goal.holds(mixed) == goal.holds(state)
