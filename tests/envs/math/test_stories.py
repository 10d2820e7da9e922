"""What generated problems say: every number has its use, distractors none, and every kind comes up."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings

from oreo.envs.math.calculator import calculate
from oreo.envs.math.generator import GeneratorSettings, check_settings, generate
from oreo.envs.math.problems import Problem
from oreo.envs.math.stories import SUBJECTS, subjects_of
from oreo.errors import UsageError

from .generated import ANNOTATION, generator_settings, lines, numbers, splits


@settings(deadline=None)
@given(numbers, splits, generator_settings())
def test_every_number_of_the_solution_is_given_or_computed(
    number: int, split: str, settings: GeneratorSettings
) -> None:
    problem = generate(number, split, settings)
    available = re.findall(r"\d+", problem.question)
    for expression, value in ANNOTATION.findall(problem.solution):
        assert set(re.findall(r"\d+", expression)) <= set(available)
        available.append(value)


@settings(deadline=None)
@given(numbers, splits, generator_settings())
def test_an_arithmetic_question_is_the_calculation_itself(number: int, split: str, settings: GeneratorSettings) -> None:
    plain = check_settings({"steps": settings.steps, "operations": settings.operations, "subjects": ("arithmetic",)})
    problem = generate(number, split, plain)
    expression = re.search(r"[(\d].*[\d)]", problem.question)
    assert expression and calculate(expression.group()) == calculate(problem.answer)


@settings(deadline=None)
@given(numbers, generator_settings())
def test_distractors_are_sentences_that_no_line_uses(number: int, settings: GeneratorSettings) -> None:
    assert sum(distract(generate(number, "train", settings))) == settings.distractors


def distract(problem: Problem) -> list[bool]:
    """Of each sentence before the last, which asks, whether it is a distractor."""
    sentences = re.findall(r"[^.?]+[.?]", problem.question)[:-1]
    return [
        bool(re.search(r"years old|weeks old|in the park|seats|lives at|street", sentence)) for sentence in sentences
    ]


def test_distractors_stand_before_or_after_the_story_and_never_within_it() -> None:
    """Within, "them" and "more" would refer to the distractor."""
    before = after = within = 0
    for number in range(300):
        asides = distract(generate(number, "train", GeneratorSettings(distractors=1 + number % 3)))
        story = [place for place, aside in enumerate(asides) if not aside]
        if len(story) > 1:
            before += asides[0]
            after += asides[-1]
            within += any(asides[story[0] : story[-1]])
    assert within == 0 and min(before, after) > 50


def test_problems_differ_and_every_kind_comes_up() -> None:
    problems = [generate(number) for number in range(1000)]
    assert len({problem.question for problem in problems}) > 990
    assert {problem.subject for problem in problems} == set(SUBJECTS)
    assert {problem.level for problem in problems} == {"2", "3", "4"}


def test_texts_are_short_and_of_few_words() -> None:
    problems = [generate(number) for number in range(2000)]
    assert max(len(problem.question) for problem in problems) <= 200
    assert max(len(lines(problem)) for problem in problems) <= 5
    words = {
        word for problem in problems for word in re.findall(r"[A-Za-z]+", f"{problem.question} {problem.solution}")
    }
    assert len(words) < 150


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("steps", range(1, 7))
def test_every_kind_is_told_in_every_number_of_steps_it_claims(subject: str, steps: int) -> None:
    for operations in ("+-*/", "*", "+-", "-/"):
        if not SUBJECTS[subject].possible(steps, operations):
            with pytest.raises(UsageError, match=f"takes {steps} steps"):
                subjects_of(steps, operations, (subject,))
            continue
        settings = GeneratorSettings(steps=(steps,), operations=operations, subjects=(subject,), digits=6, largest=60)
        if "+" in operations:  # without, some chains come to an end at 1
            problem = generate(3, "train", settings)
            assert (problem.subject, problem.level) == (subject, str(steps))
