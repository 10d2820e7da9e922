"""Conditions mean what the same words mean in Python, and what is no condition is refused at its column."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.data.filter_words import WORDS, Value
from oreo.data.filters import equal_to, parse
from oreo.data.selection import game_of
from oreo.data.views import of_trajectories
from oreo.errors import UsageError
from oreo.trajectory import Step, Trajectory

from .episodes import episode

KNOWN = {
    "won": lambda t: t.won,
    "terminated": lambda t: t.terminated,
    "truncated": lambda t: t.truncated,
    "steps": len,
    "reward": lambda t: t.episode_return,
    "seed": lambda t: t.seed,
    "env": lambda t: t.env_id,
    "split": lambda t: t.env_kwargs.get("split"),
    "task": lambda t: t.task or None,
    "task_type": lambda t: t.task_type or None,
    "game": lambda t: t.game or None,
    "dialect": lambda t: t.dialect or None,
    "grade": lambda t: t.grade,
    "agent": lambda t: t.agent or None,
    "checkpoint": lambda t: t.checkpoint or None,
    "created": lambda t: t.created or None,
    "came_from": lambda t: t.extra["came_from"][-1]["buffer"] if t.extra else None,
    "cut_turns": lambda t: sum(step.cut for step in t.steps),
    "refused": lambda t: sum(step.action_valid is False for step in t.steps),
    "person_turns": lambda t: sum(step.actor == "person" for step in t.steps),
    "tokens": lambda t: (
        None if any(step.token_ids is None for step in t.steps) else sum(len(step.token_ids) for step in t.steps)
    ),
}
"""The words again, of a trajectory in memory."""


def test_each_word_has_its_meaning_tested() -> None:
    assert KNOWN.keys() == WORDS.keys()


# A condition, as text and as plain Python.

few_texts = st.sampled_from(["", "a", "ab", 'quo"te', "back\\slash", "it's", "new\nline"])
few_numbers = st.integers(-2, 4) | st.sampled_from([0.5, -1.5, 1e3, 1e-3])


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def of(word: str, test: Any) -> Any:
    def holds(t: Trajectory, among: list[Trajectory]) -> bool:
        content = KNOWN[word](t)
        return content is not None and bool(test(content))

    return holds


def written(kind: str, value: Any) -> str:
    return quoted(value) if kind == "text" else repr(value).lower() if kind == "flag" else repr(value)


def comparisons(kind: str) -> Any:
    values = {"text": few_texts, "number": few_numbers, "flag": st.booleans()}[kind]
    signs = {"==": "__eq__", "!=": "__ne__"} if kind == "flag" else {s: s for s in ("==", "!=", "<", "<=", ">", ">=")}

    def compare(content: Any, sign: str, value: Any) -> bool:
        order = (content > value) - (content < value)
        return {"==": order == 0, "!=": order != 0, "<": order < 0, "<=": order <= 0, ">": order > 0, ">=": order >= 0}[
            sign
        ]

    plain = st.tuples(st.sampled_from(sorted(signs)), values).map(
        lambda told: (f"{told[0]} {written(kind, told[1])}", lambda content: compare(content, *told))
    )
    among = st.lists(values, min_size=1, max_size=3).map(
        lambda told: (f"in [{', '.join(written(kind, one) for one in told)}]", lambda content: content in told)
    )
    more = []
    if kind == "number":
        more = [
            st.tuples(values, values)
            .map(sorted)
            .map(lambda told: (f"between {told[0]!r} and {told[1]!r}", lambda content: told[0] <= content <= told[1]))
        ]
    if kind == "text":
        more = [values.map(lambda told: (f"~ {quoted(told)}", lambda content: told in content))]
    return st.one_of(plain, among, *more)


@st.composite
def single_tests(draw: st.DrawFn) -> Any:
    word = draw(st.sampled_from(sorted(WORDS)))
    form = draw(st.integers(0, 5))
    if form == 0:
        return f"known({word})", lambda t, among: KNOWN[word](t) is not None
    if form == 1 and WORDS[word].kind == "flag":
        return word, of(word, bool)
    if form == 2:
        text, holds = draw(comparisons("number"))
        key = game_of if word == "game" else KNOWN[word]

        def share(t: Trajectory, among: list[Trajectory]) -> float:
            same = [other for other in among if key(other) == key(t)]
            return sum(other.won for other in same) / len(same)

        return f"wins({word}) {text}", lambda t, among: holds(share(t, among))
    if form == 3:
        text, holds = draw(comparisons("number"))
        key = game_of if word == "game" else KNOWN[word]
        return (
            f"episodes( {word} ) {text}",
            lambda t, among: holds(sum(key(other) == key(t) for other in among)),
        )
    text, holds = draw(comparisons(WORDS[word].kind))
    return f"{word} {text}", of(word, holds)


def joined(inner: Any) -> Any:
    both = st.tuples(inner, inner)
    return st.one_of(
        inner.map(lambda one: (f"not ({one[0]})", lambda t, among: not one[1](t, among))),
        both.map(lambda two: (f"({two[0][0]}) and ({two[1][0]})", lambda t, a: two[0][1](t, a) and two[1][1](t, a))),
        both.map(lambda two: (f"({two[0][0]} or {two[1][0]})", lambda t, a: two[0][1](t, a) or two[1][1](t, a))),
    )


conditions = st.recursive(single_tests(), joined, max_leaves=4)
steps = st.builds(
    Step,
    st.just("o"),
    st.just("a"),
    reward=st.sampled_from([0.0, 1.0, 0.5]),
    action_valid=st.sampled_from([None, True, False]),
    cut=st.booleans(),
    token_ids=st.none() | st.just((1, 2)),
    actor=st.sampled_from(["", "agent", "person"]),
)
episodes = st.lists(
    st.builds(
        Trajectory,
        env_id=few_texts,
        steps=st.lists(steps, max_size=3).map(tuple),
        final_observation=st.just(""),
        terminated=st.just(True),
        truncated=st.booleans(),
        won=st.booleans(),
        env_kwargs=st.sampled_from([{}, {"split": "a"}, {"split": 3}]),
        task=few_texts,
        task_type=few_texts,
        game=few_texts,
        dialect=few_texts,
        grade=few_texts,
        seed=st.none() | st.integers(-1, 3),
        agent=few_texts,
        checkpoint=few_texts,
        created=few_texts,
        extra=st.sampled_from([{}, {"came_from": [{"buffer": "b"}, {"buffer": "a", "episode": 3}]}]),
    ),
    min_size=1,
    max_size=4,
)


KNOWN["split"] = lambda t: t.env_kwargs.get("split") if isinstance(t.env_kwargs.get("split"), str) else None


@settings(max_examples=100, deadline=None)
@given(conditions, episodes)
def test_a_condition_means_what_python_would(condition: Any, given_ones: list[Trajectory]) -> None:
    text, holds = condition
    assert of_trajectories(given_ones, text) == [one for one in given_ones if holds(one, given_ones)]


@settings(max_examples=100, deadline=None)
@given(st.text("()[]\"'=<>~ andortwins0.5e\\\n,é_-", max_size=30) | st.text(max_size=20))
def test_any_text_is_a_condition_or_one_line_that_says_where_it_is_none(text: str) -> None:
    try:
        parse(text)
    except UsageError as error:
        assert "column" in str(error)


@pytest.mark.parametrize(
    ("condition", "meant"),
    [
        ("won and steps < 3", [0]),
        ("not won or steps >= 3", [1, 2]),
        ("not (won or steps >= 3)", [2]),
        ('game in ["a", "c"] and agent ~ "lm"', [0]),
        ("wins(game) between 0.2 and 0.8", [0, 2]),
        ("episodes(game) == 1 and won == true", [1]),
        ("won == false or seed == 7", [0, 2]),
        ("seed != 7", []),
        ("not known(seed)", [1, 2]),
        ("not seed == 7", [1, 2]),
        ("not won or won and steps > 3", [1, 2]),
        ('known(agent) and not known(created) and not created < "2027"', [0, 1, 2]),
        ('known(checkpoint) or created < "2027"', []),
        ('grade == ""', [0, 1, 2]),
    ],
)
def test_conditions_by_example(condition: str, meant: list[int]) -> None:
    three = [
        replace(episode("a", steps=2, agent="lm(tiny)"), seed=7),
        episode("b", steps=5),
        episode("a", won=False, steps=2),
    ]
    assert of_trajectories(three, condition) == [three[at] for at in meant]


@pytest.mark.parametrize(
    ("condition", "column", "what"),
    [
        ("", 1, "expected one of won"),
        ("wonn", 1, "did you mean 'won'?"),
        ("steps", 6, "expected a comparison, such as steps < 20"),
        ("steps = 3", 7, "equality is written =="),
        ("steps == ", 10, "expected a number such as 20"),
        ('steps == "3"', 10, "expected a number"),
        ("task == put", 9, "expected a text in quotes"),
        ('task == "put', 9, 'no closing "'),
        ("steps < 3 adn won", 11, "did you mean 'and'?"),
        ("won && steps < 3", 5, "expected and, or, not"),
        ("(won", 5, "expected ) to close the bracket"),
        ("won)", 4, "expected and, or, or the end"),
        ("won < true", 5, "true or false"),
        ("steps ~ 3", 7, "~ is for texts"),
        ('task between "a" and "b"', 6, "between is for numbers"),
        ("steps between 5 and 2", 7, "the smaller number comes first"),
        ("wins between 0 and 1", 6, "expected ( after wins"),
        ("wins(gme) > 0", 6, "did you mean 'game'?"),
        ("game in []", 10, "expected a text in quotes"),
        ('game in ["a"', 13, "expected ] to close the list"),
        ("steps < 3.2.1", 9, "expected a number"),
        ("__import__('os')", 1, "unknown word '__import__'"),
        ("won and", 8, "expected one of won"),
        ("(" * 60 + "won", 51, "more than 50 brackets"),
    ],
)
def test_what_is_no_condition_is_refused_at_its_column(condition: str, column: int, what: str) -> None:
    with pytest.raises(UsageError) as error:
        parse(condition)
    assert f"column {column}: " in str(error.value) and what in str(error.value)


def test_a_long_chain_is_read_and_an_endless_text_is_not() -> None:
    chain = " and ".join(["steps < 30"] * 3000)
    assert of_trajectories([episode()], chain) == [episode()]
    with pytest.raises(UsageError, match="at most"):
        parse("won " * 20_000)
    with pytest.raises(UsageError, match="is a text"):
        parse(3)  # type: ignore[arg-type]


def test_words_by_keyword() -> None:
    condition = equal_to({"won": True, "game": None, "agent": "random"})
    assert condition.values == (Value("won"), Value("agent"))
    with pytest.raises(UsageError, match="did you mean 'agent'"):
        equal_to({"agnet": "a"})
