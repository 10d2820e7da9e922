"""Queries of a grammar: their answers, and those that nothing answers."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld.engines.grammar import parse_query
from oreo.envs.alfworld.engines.queries import ask_all, ask_whether
from oreo.envs.alfworld.engines.relations import holds_test
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.envs.alfworld.game import Game

from .kitchens import changed, wandered


@pytest.mark.parametrize(
    ("unknown", "named"),
    [
        (changed(grammar=('"condition": "openable(r:receptacle)"', '"condition": "broken(r:receptacle)"')), "broken"),
    ],
)
def test_a_condition_about_an_unknown_predicate_is_named_when_the_game_is_loaded(unknown: Game, named: str) -> None:
    with pytest.raises(UnknownGameLogic, match=named):
        Simulator().reset(unknown)


QUERIES = (
    "inreceptacle(o:object, r:receptacle)",
    "inreceptacle(o:object, r:receptacle) & openable(r:receptacle)",
    "inreceptacle(o:object, r:receptacle) & inreceptacle(p:object, r:receptacle)",
    "openable(r:receptacle) & opened(r:receptacle)",
    "not_iscool(o:object)",
    "not_opened(r:receptacle) & openable(r:receptacle)",
    "holds(a:agent, o:object) & ishot(o:object)",
    "",
)


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32), st.sampled_from(QUERIES), st.booleans())
def test_the_answers_are_all_ways_to_bind_different_things_so_that_every_atom_holds(
    seed: int, text: str, is_bound: bool
) -> None:
    world, state = wandered(seed)
    query = parse_query(text)
    bound = {"r": "cabinet_bar_1"} if is_bound else {}
    types = dict.fromkeys(bound, "receptacle")
    kinds = {name: kind for _, variables in query for name, kind in variables if name not in bound}
    of_kinds = [[thing for thing, kind in world.types.items() if kind == wanted] for wanted in kinds.values()]

    def holds(answer: dict[str, str]) -> bool:
        for name, variables in query:
            fact = tuple(answer[variable] for variable, _ in variables)
            denied = name.removeprefix("not_")
            if not ((denied, *fact) in state.negated if denied != name else holds_test(name)(world, state, fact)):
                return False
        return len(set(answer.values())) == len(answer)

    expected = [bound | dict(zip(kinds, things, strict=True)) for things in product(*of_kinds)]
    expected = [answer for answer in expected if holds(answer)]
    answers = ask_all(query, types)(world, state, bound)

    def in_order(answer: dict[str, str]) -> list[tuple[str, str]]:
        return sorted(answer.items())

    assert sorted(answers, key=in_order) == sorted(expected, key=in_order)
    assert ask_whether(query, types)(world, state, bound) == bool(expected)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("shines(o:object)", "shines"),
        ("inreceptacle(r:receptacle, o:object)", "inreceptacle"),
        ("ison(o:object)", "'ison'"),
        ("checked(r:receptacle)", "'checked'"),
        ("ishot(r:object)", "where r is a receptacle"),
    ],
)
def test_an_atom_that_nothing_answers_is_named(text: str, named: str) -> None:
    for ask in (ask_all, ask_whether):
        with pytest.raises(UnknownGameLogic, match=named):
            ask(parse_query(text), {"r": "receptacle"})
