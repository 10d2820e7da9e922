"""Reading PDDL: what is the same although it is written differently, and what is refused."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.engines.entity_names import entity_names
from oreo.envs.alfworld.engines.pddl import action_digests, parse_nested, parse_problem, typed_list
from oreo.envs.alfworld.engines.rules import known_rules
from oreo.envs.alfworld.errors import UnknownGameLogic
from oreo.envs.alfworld.generation.generator import generate_game
from oreo.errors import DataError

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


def test_both_published_domains_are_known() -> None:
    old, new = (known_rules(package_data.game_logic(dialect)[0]) for dialect in ("put", "move"))
    assert new.actions - old.actions == {"help"} and not old.actions - new.actions
    assert set(old.cleaning_places) - set(new.cleaning_places) == {"sinktype"}


@settings(deadline=None, max_examples=100)
@given(
    st.integers(0, len(PROBLEM)), st.integers(0, 80), st.sampled_from(["", "(", ")", " - ", ":", "x", "?", "é", "\0"])
)
def test_a_damaged_problem_is_read_or_refused_but_never_breaks_anything(start: int, length: int, put: str) -> None:
    try:
        parse_problem(PROBLEM[:start] + put + PROBLEM[start + length :])
    except DataError as refusal:
        assert "\n" not in str(refusal)


def test_a_hierarchy_of_types_is_unknown() -> None:
    domain, _ = package_data.game_logic("put")
    with pytest.raises(UnknownGameLogic, match="hierarchy"):
        known_rules(domain.replace("  receptacle\n", "  receptacle - object\n", 1))


def test_numbers_are_handed_out_from_the_highest_down() -> None:
    names = entity_names(
        ["cup_bar_2", "cup_bar_1", "sink_bar_1_bar_sinkbasin", "bathtub_bar_1_bar_bathtubbasin", "agent1"]
    )
    assert names == {
        "cup_bar_1": "cup 2",
        "cup_bar_2": "cup 1",
        "sink_bar_1_bar_sinkbasin": "sinkbasin 1",
        "bathtub_bar_1_bar_bathtubbasin": "bathtubbasin 1",
        "agent1": "agent1 ",
    }


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
