"""A fact holds where it is among the facts of its predicate, and patterns choose among these."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld.engines.relations import holds_test, matching_rows
from oreo.envs.alfworld.engines.rules import PREDICATES
from oreo.envs.alfworld.errors import UnknownGameLogic

from .kitchens import wandered


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32), st.sampled_from(sorted(PREDICATES)))
def test_what_holds_is_what_is_listed_and_a_pattern_leaves_what_agrees_with_it(seed: int, predicate: str) -> None:
    world, state = wandered(seed)
    things = [
        sorted(thing for thing, kind in world.types.items() if kind == wanted) for wanted in PREDICATES[predicate]
    ]
    holds, rows = holds_test(predicate), matching_rows(predicate)
    facts = list(rows(world, state, (None,) * len(things)))
    listed = [fact for fact in facts if all(thing in of_kind for thing, of_kind in zip(fact, things, strict=True))]
    assert facts == sorted(facts)
    assert listed == [fact for fact in product(*things) if holds(world, state, fact)]
    for pattern in product(*([None, *of_kind] for of_kind in things)):
        agreeing = [
            fact for fact in facts if all(want in (None, have) for want, have in zip(pattern, fact, strict=True))
        ]
        assert list(rows(world, state, pattern)) == agreeing


def test_a_predicate_that_the_domain_lacks_is_named() -> None:
    for ask in (holds_test, matching_rows):
        with pytest.raises(UnknownGameLogic, match="isshiny"):
            ask("isshiny")
