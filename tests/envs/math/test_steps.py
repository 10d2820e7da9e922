"""Worked solutions as turns, and the strings at which turns end."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.math.env import MathEnv
from oreo.envs.math.steps import STEPS, separator, split_steps, stops, stops_inside


@pytest.mark.parametrize("stripped", [False, True])
def test_sentences_are_joined_as_they_were_parted(stripped: bool) -> None:
    solution = "Let $x = 2.5$. Then $2x = 5.$ So\nthe answer follows. It is $\\boxed{5}$."
    steps = split_steps(solution, "sentence", None)
    assert steps == ["Let $x = 2.5$. ", "Then $2x = 5.$ ", "So\n", "the answer follows. ", "It is $\\boxed{5}$."]
    env = MathEnv(step="sentence")
    env.reset(seed=0)
    for step in steps:
        env.step(step.strip() if stripped else step)
    assert env.message.rstrip() == solution


pieces = st.lists(st.sampled_from([*"ab.$=5<>\n ", "<<5=", ". ", ".$ "]), max_size=40).map("".join)


@settings(deadline=None)
@given(pieces, st.sampled_from(STEPS), st.booleans())
def test_steps_are_the_solution_cut_behind_its_stop_strings(solution: str, step: str, tool: bool) -> None:
    name = "calculator" if tool else None
    steps = split_steps(solution, step, name)
    if not tool:
        assert "".join("".join(steps).split()) == "".join(solution.split())
    for turn in steps[:-1]:
        assert turn.endswith(stops(step, name))
        assert stops_inside(turn, name) or separator(turn, step) == ""
    for turn in steps:
        assert not any(stop in turn[:-1] for stop in stops(step, name)), "it would have ended there"


def test_only_what_a_number_a_bracket_or_a_percent_sign_precedes_ends_a_turn() -> None:
    ends = stops("line", "calculator")
    for text in ("<<48/2=", "<<(3+4)=", "<<50%="):
        assert text.endswith(ends)
    for text in ("x =", "x=", "48/2 =", "y ="):
        assert not text.endswith(ends)
