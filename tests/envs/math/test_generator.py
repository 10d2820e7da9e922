"""Generated problems: the numbers are right, the splits are apart, the names bring them back."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given, settings

from oreo.envs.draws import Draws
from oreo.envs.math.calculator import calculate
from oreo.envs.math.env import MathEnv
from oreo.envs.math.generator import GeneratorSettings, as_range, by_name, check_settings, generate, key
from oreo.envs.math.problems import SPLITS, Problem, split_of
from oreo.envs.math.stories import Draft, draft
from oreo.errors import UsageError

from .generated import ANNOTATION, generator_settings, lines, numbers, splits


@settings(deadline=None)
@given(numbers, splits, generator_settings())
def test_every_line_of_a_solution_is_what_the_calculator_says(
    number: int, split: str, settings: GeneratorSettings
) -> None:
    problem = generate(number, split, settings)
    *worked, last = lines(problem)
    value = ""
    for line in worked:
        ((expression, value),) = ANNOTATION.findall(line)
        assert calculate(expression) == calculate(value)
        shown, _, result = ANNOTATION.sub("", line).rpartition(" = ")
        assert shown.replace(" ", "").endswith(expression) and result.split()[0] == value
    assert last == f"#### {value}" and problem.answer == value
    assert problem.level == str(len(worked)) and len(worked) in settings.steps


@settings(deadline=None)
@given(numbers, splits, generator_settings())
def test_no_number_is_beyond_the_settings(number: int, split: str, settings: GeneratorSettings) -> None:
    problem = generate(number, split, settings)
    given_numbers = [int(word) for word in re.findall(r"\d+", problem.question)]
    assert max(given_numbers) <= settings.largest
    for expression, value in ANNOTATION.findall(problem.solution):
        assert all(0 < int(word) < 10**settings.digits for word in re.findall(r"\d+", f"{expression} {value}"))
        assert set(re.findall(r"[-+*/]", expression)) <= set(settings.operations)


@settings(max_examples=300, deadline=None)
@given(numbers, splits, generator_settings())
def test_the_hash_of_the_calculations_decides_the_split_whatever_the_seed_and_settings(
    number: int, split: str, settings: GeneratorSettings
) -> None:
    """So no test problem can ever be a train problem: the two sets of keys have no element in common."""
    assert split_of(key_of(generate(number, split, settings))) == split


def key_of(problem: Problem) -> str:
    """The key, read again from the solution as a reader sees it."""
    calculations = []
    for expression, _ in ANNOTATION.findall(problem.solution):
        operator = re.search(r"[-+*/]", expression)
        assert operator
        operands = [int(word) for word in re.split(r"[-+*/]", expression)]
        in_order = sorted(operands) if operator.group() in "+*" else operands
        calculations.append(operator.group().join(map(str, in_order)))
    return ";".join(sorted(calculations))


def test_keys_do_not_depend_on_words_order_or_distractors() -> None:
    one, other = Draft("story"), Draft("shop", ["A cat is 3 weeks old."])
    one.calculate("", "*", (3, 4), "")
    one.calculate("", "+", (12, 5), "")
    other.calculate("They cost ", "+", (5, 12), " dollars.")
    other.calculate("Then ", "*", (4, 3), "")
    assert key(one) == key(other) == "3*4;5+12"
    less, more = Draft("story"), Draft("story")
    less.calculate("", "-", (9, 4), "")
    more.calculate("", "-", (9, 5), "")
    assert key(less) != key(more)


def test_no_question_of_test_is_a_question_of_train_even_where_there_are_few() -> None:
    few = check_settings({"steps": (1,), "largest": 9, "digits": 2})
    asked = {split: {generate(number, split, few).question for number in range(600)} for split in SPLITS}
    assert min(map(len, asked.values())) > 50
    assert not asked["train"] & asked["test"]


def test_about_a_fifth_of_all_problems_belong_to_test() -> None:
    limits, draws = GeneratorSettings().limits, Draws(1)
    drafts = [draft(draws, limits, (2, 3, 4), (), 0) for _ in range(3000)]
    keys = [key(drafted) for drafted in drafts if drafted is not None]
    assert len(keys) > 2500
    assert 0.17 < [split_of(text) for text in keys].count("test") / len(keys) < 0.23


@settings(deadline=None)
@given(numbers, splits, generator_settings())
def test_a_name_brings_the_problem_back(number: int, split: str, settings: GeneratorSettings) -> None:
    problem = generate(number, split, settings)
    assert by_name(problem.name) == problem == generate(number, split, settings)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "generated",
        "generated/train",
        "generated/valid/3",
        "generated/train/-3",
        "generated/train/3/",
        "generated/train/3/steps=x",
        "generated/train/3/steps",
        "generated/train/3/steps=2_3_4",  # the default goes without saying
        "generated/train/3/steps=9",
        "generated/train/3/colour=4",
        "generated/train/03",
        "gsm8k/train/3",
    ],
)
def test_what_is_no_name_is_refused_in_one_line(name: str) -> None:
    with pytest.raises(UsageError) as caught:
        by_name(name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("made", "played"),
    [
        ({}, "generated/train/7/steps=3"),
        ({"steps": 2, "seed": 4, "distractors": 1}, "generated/train/7"),
        ({"split": "test", "steps": 3}, "generated/test/3"),
        ({"limit": 3}, "generated/train/2"),
        ({"limit": 3, "steps": 3}, "generated/train/2/steps=3"),
        ({"subjects": "comparison"}, "generated/train/12"),
        ({"subjects": "story"}, "generated/train/7/steps=3,subjects=story"),
        ({"levels": 3}, "generated/train/7/steps=3"),
    ],
)
def test_a_name_is_played_whatever_settings_it_was_made_with(made: dict[str, Any], played: str) -> None:
    env = MathEnv(**made)
    question, info = env.reset(options={"game": played})
    assert info["game"] == played and question == by_name(played).question


@pytest.mark.parametrize(
    ("made", "refused", "says"),
    [
        ({}, "generated/test/3", "is a problem of the split test, this environment has train: set split='test'"),
        ({"split": "test"}, "generated/train/3", "this environment has test: set split='train'"),
        ({"split": "test"}, "generated/train/3/steps=3", "this environment has test"),
        ({"limit": 3}, "generated/train/3", "limit=3: the last of them is generated/train/2"),
        ({"limit": 3}, "generated/train/1/steps=3", "limit=3: the last of them is generated/train/2"),
        ({"limit": 3, "steps": 3}, "generated/train/1", "limit=3: the last of them is generated/train/2/steps=3"),
        (
            {"subjects": "shop"},
            "generated/train/11",
            "of the subject arithmetic, this environment has subjects=['shop']",
        ),
        ({"levels": [2]}, "generated/train/7/steps=3", "of the level 3, this environment has levels=['2']"),
    ],
)
def test_a_name_of_what_was_not_asked_for_is_refused_in_one_line(made: dict[str, Any], refused: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        MathEnv(**made).reset(options={"game": refused})
    assert says in str(caught.value) and refused in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ({"colour": 1}, "unknown argument 'colour'"),
        ({"step": 1}, "did you mean 'steps'"),
        ({"steps": (0,)}, "1 to 6"),
        ({"steps": ("2",)}, "1 to 6"),
        ({"steps": ()}, "1 to 6"),
        ({"largest": 3}, "from 4"),
        ({"digits": True}, "digits=True"),
        ({"distractors": 9}, "distractors=9"),
        ({"operations": "^"}, "some of"),
        ({"operations": "+", "subjects": ("shop",)}, "allow more operations"),
        ({"subjects": ("shopp",)}, "did you mean 'shop'"),
    ],
)
def test_a_setting_that_allows_nothing_is_refused_in_one_line(asked: dict[str, Any], says: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_settings(asked)
    assert says in str(caught.value) and "\n" not in str(caught.value)


def test_settings_that_leave_a_split_empty_are_told() -> None:
    one = check_settings({"steps": (6,), "largest": 4, "digits": 1, "operations": "-"})
    with pytest.raises(UsageError, match="allow larger numbers"):
        generate(0, "test", one)


@pytest.mark.parametrize(("given", "read"), [(3, (3,)), ([2, 4], (2, 3, 4)), ((5, 5), (5,)), ([4, 2], ())])
def test_steps_are_a_number_or_a_range(given: Any, read: Any) -> None:
    assert as_range(given) == read
