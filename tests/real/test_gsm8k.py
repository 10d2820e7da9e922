"""GSM8K's own solutions: graded right, wrong with another number, and every calculator annotation recalculated."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from fractions import Fraction

import pytest

from helpers.shared_data import gsm8k_problems, needs_gsm8k
from oreo.envs.math.answers import final_answer, plain_number
from oreo.envs.math.calculator import calculate, format_value
from oreo.envs.math.grading import grade

pytestmark = needs_gsm8k

PROBLEMS, ANNOTATIONS = 8_792, 27_998
WRITTEN_DIFFERENTLY = {
    "zeros at the end: 18+9=27.00": 730,
    "no zero before the point: 2/10=.2": 92,
    "left as a fraction: 3/4=3/4": 1,
}
"""Annotations that our calculator answers with the same value in other characters. (Values: there is no exception.)"""

changes: dict[str, Callable[[Fraction], Fraction]] = {
    "one more": lambda value: value + 1,
    "a cent less": lambda value: value - Fraction(1, 100),
    "negative": lambda value: -value if value else Fraction(1),
    "a tenth": lambda value: value / 10 if value else Fraction(1),
}


def annotations() -> list[tuple[str, str]]:
    """(expression, value) of every <<expression=value>>."""
    annotations = [re.findall(r"<<([^<>=]*)=([^<>=]*)>>", problem["answer"]) for problem in gsm8k_problems()]
    return [pair for pairs in annotations for pair in pairs]


def test_every_gold_solution_is_correct_by_its_own_answer() -> None:
    problems = list(gsm8k_problems())
    assert len(problems) == PROBLEMS
    for problem in problems:
        solution = problem["answer"]
        gold = solution.rpartition("#### ")[2]
        assert plain_number(gold) is not None
        assert grade(solution, gold).correct
        assert grade(solution, solution).correct


@pytest.mark.parametrize("change", changes)
def test_no_solution_is_correct_with_its_final_number_changed(change: str) -> None:
    for problem in gsm8k_problems():
        steps, mark, gold = problem["answer"].rpartition("#### ")
        number = plain_number(gold)
        assert number is not None
        changed = format_value(changes[change](number.value))
        grading = grade(steps + mark + changed, gold)
        assert (grading.outcome, grading.answer) == ("wrong", changed)


def test_the_calculator_answers_every_annotation_with_the_annotated_value() -> None:
    every = annotations()
    assert len(every) == ANNOTATIONS
    assert len(every) == sum(problem["answer"].count("<<") for problem in gsm8k_problems())
    assert [pair for pair in every if calculate(pair[0]) != calculate(pair[1])] == []


def test_the_calculator_writes_values_as_the_annotators_do_but_for_three_habits() -> None:
    causes: Counter[str] = Counter()
    for expression, value in annotations():
        if format_value(calculate(expression)) == value:
            continue
        if "/" in value:
            causes["left as a fraction: 3/4=3/4"] += 1
        elif value.endswith("0"):
            causes["zeros at the end: 18+9=27.00"] += 1
        elif value.startswith("."):
            causes["no zero before the point: 2/10=.2"] += 1
        else:
            causes[f"{expression}={value}"] += 1
    assert causes == WRITTEN_DIFFERENTLY


def test_a_solution_without_its_last_line_has_no_answer() -> None:
    for problem in gsm8k_problems():
        assert final_answer(problem["answer"].rpartition("####")[0]) is None
