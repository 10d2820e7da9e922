"""Reading PDDL: what is the same although it is written differently, and what is refused."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.engines.pddl import MOST_NESTED, action_digests, parse_nested, parse_problem, typed_list
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.generation.generator import generate_game
from oreo.errors import DataError

from .kitchens import changed, game

PROBLEM = generate_game(0).pddl_problem


def test_brackets_become_lists() -> None:
    assert parse_nested("a (b (c ?d) ()) (e)") == ["a", ["b", ["c", "?d"], []], ["e"]]


def test_names_without_a_type_are_objects() -> None:
    assert typed_list("a b - t c".split()) == {"a": "t", "b": "t", "c": "object"}
    assert typed_list("a - t b - u".split()) == {"a": "t", "b": "u"}
    assert typed_list([]) == {}


@pytest.mark.parametrize("text", ["(a", "a)", "((a)"])
def test_brackets_must_match(text: str) -> None:
    with pytest.raises(DataError):
        parse_nested(text)


def test_case_comments_and_layout_of_a_problem_do_not_matter() -> None:
    plain = parse_problem(PROBLEM)
    assert parse_problem(PROBLEM.upper().replace("\n", " ; (a comment\n")) == plain
    assert parse_problem(re.sub(r"\s+", " ", PROBLEM).replace("(", " ( ").replace("( :", "(:")) == plain


def test_case_comments_and_layout_of_a_domain_do_not_matter() -> None:
    domain, _ = package_data.game_logic("put")
    assert action_digests(re.sub(r";.*", "", domain).upper().replace("\n", "  ")) == action_digests(domain)


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, len(PROBLEM)), st.integers(0, 80), st.sampled_from(["", "(", ")", " - ", ":", "x", "?", "é", "\0"])
)
def test_a_damaged_problem_is_read_or_refused_but_never_breaks_anything(start: int, length: int, put: str) -> None:
    try:
        parse_problem(PROBLEM[:start] + put + PROBLEM[start + length :])
    except DataError as refusal:
        assert "\n" not in str(refusal)


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("(:init", "(:init (= (total-cost) 0)", r"\(= \(total-cost"),
        ("(:init", "(:init (not (holdsany agent1))", r"\(not \(holdsany agent1"),
        ("(:init", "; by José\n(:init", "outside ASCII"),
    ],
)
def test_what_the_original_may_understand_is_left_to_it(old: str, new: str, what: str) -> None:
    with pytest.raises(UnknownGameLogic, match=what):
        parse_problem(PROBLEM.replace(old, new))


@pytest.mark.parametrize(
    "malformed",
    [
        changed(pddl_problem=("(openable Fridge_bar_1)", "(not (openable Fridge_bar_1))")),
        changed(pddl_problem=("(openable Fridge_bar_1)", "(openable Fridge_bar_1")),
        changed(pddl_problem=("(:init", "(:unit")),
        changed(pddl_problem=("(inReceptacle ?o ?r))))))", "(inReceptacle ?o ?r)")),
        replace(game(), pddl_problem=""),
    ],
)
def test_a_malformed_problem_is_refused_in_one_line(malformed: Game) -> None:
    with pytest.raises(DataError) as refusal:
        Simulator().reset(malformed)
    assert "\n" not in str(refusal.value)


def deep(brackets: int) -> str:
    return "(and " * brackets + ")" * brackets


@pytest.mark.parametrize("brackets", [200, 900, 50_000])
@pytest.mark.parametrize(
    "place",
    [
        {"pddl_problem": ("(and (exists", "{} (and (exists")},
        {"pddl_problem": ("(:init", "(:init {}")},
        {"pddl_domain": (":effect (and", ":effect (and {}")},
    ],
    ids=["goal", "init", "domain"],
)
def test_brackets_nested_too_deeply_are_refused_in_one_line(place: dict[str, tuple[str, str]], brackets: int) -> None:
    hostile = changed(**{field: (old, new.format(deep(brackets))) for field, (old, new) in place.items()})
    with pytest.raises((DataError, UnknownGameLogic)) as refusal:
        Simulator().reset(hostile)
    assert "\n" not in str(refusal.value) and len(str(refusal.value)) < 300


def test_brackets_may_be_nested_as_deeply_as_is_said_and_no_deeper() -> None:
    depth = 0
    tree = parse_nested(deep(MOST_NESTED))
    while tree:
        tree, depth = tree[0][1:], depth + 1  # type: ignore[assignment]
    assert depth == MOST_NESTED
    with pytest.raises(DataError, match=f"more than {MOST_NESTED} deep"):
        parse_nested(deep(MOST_NESTED + 1))
