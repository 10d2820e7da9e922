"""Names of problems by what they say, and the choice among those that were read."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.envs.math.problems import TEST_SHARE, Listed, Problem, by_content, chosen, id_of, split_of, texts
from oreo.errors import UsageError

ROWS = st.lists(st.tuples(st.text(max_size=3), st.text(max_size=3)), min_size=1, max_size=8)


def read(rows: list[tuple[str, str]]) -> list[Problem]:
    return by_content(Problem(f"jsonl/mine/{n}", *row) for n, row in enumerate(rows))


def test_an_id_is_a_digest_of_question_and_answer() -> None:
    assert id_of("1+1?", "2") == hashlib.sha256(b'["1+1?", "2"]').hexdigest()[:16]
    assert len({id_of("ab", "c"), id_of("a", "bc"), id_of("abc", "")}) == 3


@given(ROWS, st.tuples(st.text(max_size=3), st.text(max_size=3)))
def test_names_are_unique_and_depend_on_nothing_but_the_problem(
    rows: list[tuple[str, str]], inserted: tuple[str, str]
) -> None:
    names = {problem.name: (problem.question, problem.answer) for problem in read(rows)}
    assert len(names) == len(rows)
    after = {problem.name: (problem.question, problem.answer) for problem in read([inserted, *rows])}
    assert names.items() <= after.items() and len(after) == len(rows) + 1


@given(ROWS)
def test_a_problem_is_found_by_its_name_and_by_its_row(rows: list[tuple[str, str]]) -> None:
    listed = Listed(read(rows))
    assert listed.games is not None
    for number, name in enumerate(listed.games):
        problem = listed.named(name)
        assert listed.named(f"jsonl/mine/{number}") is problem and (problem.question, problem.answer) == rows[number]
    with pytest.raises(UsageError, match=f"no problem 'jsonl/mine/{len(rows)}'"):
        listed.named(f"jsonl/mine/{len(rows)}")


def test_what_is_drawn_does_not_depend_on_the_names() -> None:
    rows = [(str(number), "") for number in range(9)]
    drawn = [Listed(read(rows)).draw(np.random.default_rng(seed)).question for seed in range(9)]
    plain = [Problem(f"p/{number}", *row) for number, row in enumerate(rows)]
    assert drawn == [Listed(plain).draw(np.random.default_rng(seed)).question for seed in range(9)]


def test_a_text_belongs_to_one_split_and_a_fifth_to_test() -> None:
    splits = [split_of(str(number)) for number in range(5000)]
    assert splits == [split_of(str(number)) for number in range(5000)]
    assert abs(splits.count("test") / 5000 - 1 / TEST_SHARE) < 0.02


def test_levels_and_subjects_are_chosen_before_the_limit() -> None:
    problems = [Problem(str(n), "", "", subject="ab"[n % 2], level=str(n % 3)) for n in range(12)]
    assert [problem.name for problem in chosen(problems, "mine", ("1",), ("b",), 1)] == ["1"]
    assert [problem.name for problem in chosen(problems, "mine", None, ("b",), 2)] == ["1", "3"]
    with pytest.raises(UsageError, match="no level '5' in mine: choose from 0, 1, 2"):
        chosen(problems, "mine", ("5",), None, None)


def test_one_or_several_values_become_texts() -> None:
    assert (
        texts("levels", 5) == ("5",) and texts("levels", ["Level 2", 3]) == ("2", "3") and texts("levels", None) is None
    )
    for value in ([], [1.5], [None]):
        with pytest.raises(UsageError, match="expected one or several"):
            texts("levels", value)
