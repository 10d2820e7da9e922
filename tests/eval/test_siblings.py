"""oreo.eval.siblings: how V and log π rank turns of one state, by hand and by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from oreo.errors import DataError
from oreo.eval.siblings import Sibling, diagnose, gain, oracle_gain


def sibling(won: str, *, value: float = 0.0, chance: float = 0.5, accepted: bool | None = None) -> Sibling:
    """`won` has a 1 for each continuation that was won, else a 0."""
    return Sibling("go", math.log(chance), value, accepted, tuple(letter == "1" for letter in won))


STATE = [
    sibling("1110", value=0.2, chance=0.6, accepted=True),
    sibling("0000", value=0.7, chance=0.3, accepted=False),
    sibling("1111", value=0.5, chance=0.1, accepted=True),
]


def test_gain_is_the_success_of_what_is_chosen_less_that_of_what_the_policy_says() -> None:
    of_policy = 0.6 * 0.75 + 0.3 * 0.0 + 0.1 * 1.0
    assert gain(STATE, lambda sibling: sibling.value) == pytest.approx(0.0 - of_policy)
    assert gain(STATE, lambda sibling: sibling.log_prob) == pytest.approx(0.75 - of_policy)
    found = diagnose([STATE], beta=0.5).gains
    assert found["value"].mean == pytest.approx(0.0 - of_policy) and set(found) == {
        "value",
        "log_prob",
        "both",
        "oracle",
    }
    # log π + V/β: log 0.6 + 0.4, log 0.3 + 1.4, log 0.1 + 1.0
    assert found["both"].mean == pytest.approx(0.0 - of_policy)
    assert "both" not in diagnose([STATE]).gains


def test_pairs_are_those_that_can_be_told_apart_and_ties_count_half() -> None:
    found = diagnose([STATE])
    assert found.accepted.pairs == 2 and found.better.pairs == 2  # 3 of 4 and 4 of 4 are alike
    assert found.accepted.by_value is not None and found.accepted.by_value.mean == 0.0
    assert found.accepted.by_log_prob is not None and found.accepted.by_log_prob.mean == 0.5
    even = [sibling("1", value=0.3), sibling("0", value=0.3)]
    tied = diagnose([even, even]).better
    assert tied.pairs == 2 and tied.by_value is not None and tied.by_value.mean == tied.by_value.high == 0.5
    assert diagnose([even]).accepted.pairs == 0 and diagnose([even]).accepted.by_value is None


def test_an_oracle_is_judged_by_continuations_that_it_was_not_told_of() -> None:
    """Of equal turns the one that happened to win is no better: the plain maximum would say it is."""
    random = np.random.default_rng(0)
    states = [[Sibling(str(at), 0.0, 0.0, None, tuple(random.random(8) < 0.5)) for at in range(5)] for _ in range(2000)]
    assert np.mean([oracle_gain(state) for state in states]) == pytest.approx(0.0, abs=0.02)
    assert np.mean([max(s.success for s in state) for state in states]) > 0.65
    skilled = [[sibling("1" * 8), sibling("0" * 8)]] * 5
    assert diagnose(skilled).gains["oracle"].mean == pytest.approx(0.5)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    """By states, whose siblings are not independent: 100 studies of 60 states, in which V is right in 70 %."""
    random, covered = np.random.default_rng(1), 0
    for study in range(100):
        states = []
        for right in random.random(60) < 0.7:
            states.append([sibling("1", value=float(right)), sibling("0", value=float(not right))])
        estimate = diagnose(states, seed=study).better.by_value
        assert estimate is not None
        covered += estimate.low <= 0.7 <= estimate.high
    assert 0.9 <= covered / 100 <= 0.99


def test_a_value_that_misleads_is_warned_of_and_a_good_one_is_not() -> None:
    misled = diagnose([[sibling("1", value=0.1), sibling("0", value=0.9)]] * 20)
    assert misled.warning == "choosing among sampled turns by this value loses games"
    dull = diagnose([[sibling("1", value=0.5, chance=0.9), sibling("0", value=0.5, chance=0.1)]] * 20)
    assert dull.warning is None and dull.gains["value"] == dull.gains["log_prob"]
    worse = [[sibling("1", value=v, chance=0.9), sibling("0", value=0.5, chance=0.1)] for v in (0.9, 0.9, 0.9, 0.1)]
    assert diagnose(worse).warning is not None and "gains less than" in str(diagnose(worse).warning)
    good = [[sibling("1", value=0.9, chance=0.1), sibling("0", value=0.5, chance=0.9)]] * 20
    assert diagnose(good).warning is None


def test_without_two_turns_of_a_state_there_is_nothing_to_compare() -> None:
    with pytest.raises(DataError, match="in no state were there two different turns"):
        diagnose([[sibling("1")]])
    assert diagnose([[sibling("1")], STATE]).states == 1
