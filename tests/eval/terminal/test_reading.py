"""oreo.eval.terminal.reading: where one stands in an episode, and where there is something to see."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.stored_episodes import KITCHEN, LOST
from oreo.eval.terminal.reading import Reading, advantages, answer, falls, next_fall, next_of, refusals
from oreo.eval.terminal.replay import view_at
from oreo.eval.terminal.screen import View
from oreo.trajectory import Step

WON, OUT_OF_STEPS = view_at(KITCHEN, len(KITCHEN)), view_at(LOST, len(LOST))


def test_position_0_is_the_first_observation_and_the_last_one_the_end() -> None:
    reading = Reading(WON)
    assert reading.step is None and reading.answer == KITCHEN.steps[0].observation
    end = reading.at(99)
    assert end.at_end and end.position == 5 and end.answer == "You put the tomato 1."
    assert end.step is not None and end.step.action == "put tomato 1"
    assert reading.at(-3) == reading
    assert answer(WON, 2) == "Nothing happens."


def test_who_stands_at_the_end_goes_along_when_the_episode_grows_and_who_does_not_stays() -> None:
    begun = view_at(KITCHEN, 2)
    assert Reading(begun, 2).grown(view_at(KITCHEN, 3)).position == 3
    assert Reading(begun, 1).grown(view_at(KITCHEN, 3)).position == 1
    assert Reading(view_at(KITCHEN, 4), 3).grown(begun).position == 2  # it was set back


def test_the_explicit_advantage_is_the_difference_of_values_and_the_last_one_what_was_paid() -> None:
    assert advantages(WON) == [0.25, -0.375, 0.625, 0.125, 1.0 - 0.875]
    # Behind a limit on steps there would be a state, whose value nobody knows.
    assert advantages(OUT_OF_STEPS) == [-0.125, None]
    # An episode under way has not seen its next state yet.
    assert advantages(view_at(KITCHEN, 2)) == [0.25, None]
    assert advantages(View("e", "a", "o")) == []


numbers = st.none() | st.floats(-2, 2, allow_nan=False)


@given(st.lists(numbers, min_size=1, max_size=9), st.booleans())
@settings(max_examples=50)
def test_the_advantages_of_an_ended_episode_sum_to_its_return_less_the_first_value(values: list, paid: bool) -> None:
    steps = tuple(Step("o", "a", value=value) for value in values)
    steps = (*steps[:-1], replace(steps[-1], reward=float(paid)))
    gains = advantages(View("e", "a", "o", steps=steps, outcome="won"))
    if None in values:
        assert None in gains
    else:
        assert sum(gains) == pytest.approx(float(paid) - values[0])


def test_falls_come_largest_first_and_round() -> None:
    assert falls(WON) == [2]
    assert next_fall(WON, 0) == 2 and next_fall(WON, 2) == 2
    two = View("e", "a", "o", steps=tuple(Step("o", "a", value=value) for value in (1.0, 0.75, 0.25, 0.25)))
    assert falls(two) == [2, 1]
    assert (next_fall(two, 4), next_fall(two, 2), next_fall(two, 1)) == (2, 1, 2)
    assert next_fall(View("e", "a", "o"), 0) is None


def test_refusals_are_gone_through_in_order_and_round() -> None:
    assert refusals(WON) == [2] and refusals(OUT_OF_STEPS) == [2]
    assert next_of([2, 5], 0) == 2 and next_of([2, 5], 2) == 5 and next_of([2, 5], 5) == 2
    assert next_of([], 3) is None
