"""What an environment may give, as plain Python values, and what is refused."""

from __future__ import annotations

import math
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.envs.plain_values import boolean, info, outcome, reward, text, texts


class Loud(str):
    def __str__(self) -> str:
        return "LOUD"


@given(st.text())
def test_every_text_is_itself_and_so_is_numpys(words: str) -> None:
    assert text(words, "an observation") == words
    # (numpy's own texts lose the NULs that they end in.)
    for same in (np.array(words + "."), np.str_(words + "."), Loud(words + ".")):
        plain = text(same, "an observation")
        assert type(plain) is str and plain == words + "."


@pytest.mark.parametrize("value", [None, b"bytes", 3, ["a"], np.array(["a"]), np.bytes_(b"a"), "half \udcff"])
def test_what_is_no_text_is_refused_by_its_meaning(value: Any) -> None:
    with pytest.raises(ValueError, match="an observation is") as caught:
        text(value, "an observation")
    assert "\n" not in str(caught.value)


@given(st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**53), 2**53))
def test_rewards_are_floats_whatever_number_they_come_as(number: float) -> None:
    for same in (number, np.float64(number), np.array(number)):
        plain = reward(same)
        assert type(plain) is float and plain == number


def test_rewards_of_other_kinds_of_numbers_convert_exactly() -> None:
    assert [reward(value) for value in (True, np.bool_(True), np.float32(0.1), Fraction(1, 2))] == [
        1.0,
        1.0,
        float(np.float32(0.1)),
        0.5,
    ]


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        np.float32("nan"),
        10**400,
        "1",
        None,
        1j,
        [1.0],
        np.array([1.0]),
        Decimal(1),
        b"1",
    ],
)
def test_rewards_that_are_no_finite_numbers_are_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="a reward is a") as caught:
        reward(value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize("kind", [bool, np.bool_, int, np.int8, float, np.array])
def test_booleans_are_taken_from_all_that_is_one_or_zero(kind: Any) -> None:
    assert boolean(kind(True), "done") is True and boolean(kind(False), "done") is False


@pytest.mark.parametrize("value", ["False", "", None, 2, 0.5, math.nan, [], np.array([True])])
def test_what_is_neither_true_nor_false_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="done is True or False"):
        boolean(value, "done")


@pytest.mark.parametrize(
    "value", [["a", "b"], ("a", "b"), np.array(["a", "b"]), np.array(["a", "b"], dtype=object), iter("ab")]
)
def test_lists_of_texts_come_in_many_forms(value: Any) -> None:
    plain = texts(value, "commands")
    assert plain == ["a", "b"] and all(type(item) is str for item in plain)


@pytest.mark.parametrize("value", ["ab", b"ab", {"a", "b"}, {"a": 1}, 3, [1], [None], np.array([[1.0]]), [["a"]]])
def test_what_is_no_list_of_texts_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="commands"):
        texts(value, "commands")


def test_an_outcome_is_three_plain_values() -> None:
    assert outcome((np.str_("seen"), np.float32(0.5), np.bool_(False))) == ("seen", 0.5, False)
    assert outcome(["seen", 1, 1]) == ("seen", 1.0, True)


@pytest.mark.parametrize("value", [None, "seen", ("seen", 0.0), ("seen", 0.0, False, False, {}), {"seen": 1}])
def test_an_outcome_of_other_length_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"expected \(observation, reward, done\), got"):
        outcome(value)


def test_info_has_plain_values_and_keeps_what_nobody_reads() -> None:
    kept = object()
    given = {
        "task": np.str_("find it"),
        "admissible_commands": np.array(["a"]),
        "action_valid": np.bool_(True),
        "stop": ("\n",),
        "other": kept,
    }
    plain = info(given)
    assert plain == {
        "task": "find it",
        "admissible_commands": ["a"],
        "action_valid": True,
        "stop": ("\n",),
        "other": kept,
    }
    assert type(plain["task"]) is str and plain["action_valid"] is True
    assert info({"admissible_commands": None, "action_valid": None}) == {
        "admissible_commands": None,
        "action_valid": None,
    }


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (None, "expected a dict"),
        ([("task", "x")], "expected a dict"),
        ({"won": True}, "self.won"),
        ({"admissible_commands": "look"}, "admissible_commands are a list"),
        ({"admissible_commands": [1]}, "admissible_commands is a str"),
        ({"stop": "\n"}, "stop are a list"),
        ({"action_valid": "no"}, "action_valid is True or False"),
    ],
)
def test_info_that_would_be_misread_is_refused(value: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        info(value)
