"""What is no trajectory is refused by field, on the way in and on the way out."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.data.records import NewerVersion, checked_record, from_record, to_record
from oreo.errors import DataError
from oreo.trajectory import Candidate, Step, Trajectory

from .episodes import episode, json_values, same, texts, trajectories


@settings(max_examples=50, deadline=None)
@given(trajectories)
def test_a_record_survives_json_and_is_the_trajectory(trajectory: Trajectory) -> None:
    record = to_record(trajectory)
    assert same(from_record(checked_record(json.loads(json.dumps(record)))), trajectory)
    assert record["length"] == len(trajectory)


STEP = Step("o", "a")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"steps": None}, "steps"),
        ({"steps": "ab"}, "steps"),
        ({"steps": ({"observation": "o", "action": "a"},)}, r"steps\[0\]"),
        ({"steps": (STEP, ("o", "a"))}, r"steps\[1\]"),
        ({"steps": (Step(None, "a"),)}, r"steps\[0\]\.observation"),
        ({"steps": (STEP, Step("o", None))}, r"steps\[1\]\.action"),
        ({"steps": (Step("o", 5),)}, r"steps\[0\]\.action"),
        ({"steps": (Step("o", b"a"),)}, r"steps\[0\]\.action"),
        ({"steps": (Step("o", "a", reward="1"),)}, r"steps\[0\]\.reward"),
        ({"steps": (Step("o", "a", reward=None),)}, r"steps\[0\]\.reward"),
        ({"steps": (Step("o", "a", reward=10**400),)}, r"steps\[0\]\.reward"),
        ({"steps": (Step("o", "a", reward=np.ones(2)),)}, r"steps\[0\]\.reward"),
        ({"steps": (Step("o", "a", reward=1j),)}, r"steps\[0\]\.reward"),
        ({"steps": (Step("o", "a", turn=3),)}, r"steps\[0\]\.turn"),
        ({"steps": (Step("o", "a", action_valid="yes"),)}, r"steps\[0\]\.action_valid"),
        ({"steps": (Step("o", "a", admissible_commands="go"),)}, r"steps\[0\]\.admissible_commands"),
        ({"steps": (Step("o", "a", admissible_commands=("go", None)),)}, r"steps\[0\]\.admissible_commands\[1\]"),
        ({"steps": (Step("o", "a", log_prob="-1"),)}, r"steps\[0\]\.log_prob"),
        ({"steps": (Step("o", "a", value=10**400),)}, r"steps\[0\]\.value"),
        *(
            ({"steps": (STEP, Step("o", "a", **{name: number}))}, rf"steps\[1\]\.{name} .* finite number, got {number}")
            for name in ("reward", "log_prob", "value")
            for number in (math.nan, math.inf, -math.inf, np.float32("nan"))
        ),
        ({"steps": (Step("o", "a", candidates=(Candidate("c", math.nan),)),)}, r"candidates\[0\]\.log_prob"),
        ({"steps": (Step("o", "a", candidates=(Candidate("c", value=math.inf),)),)}, r"candidates\[0\]\.value"),
        ({"steps": (Step("o", "a", reward=1e308),) * 2}, "the sum of the rewards of a trajectory is a finite number"),
        ({"steps": (Step("o", "a", candidates=None),)}, r"steps\[0\]\.candidates"),
        ({"steps": (Step("o", "a", candidates=("go",)),)}, r"steps\[0\]\.candidates\[0\]"),
        ({"steps": (Step("o", "a", candidates=(Candidate(3),)),)}, r"steps\[0\]\.candidates\[0\]\.text"),
        ({"steps": (Step("o", "a", imitate=1),)}, r"steps\[0\]\.imitate"),
        ({"steps": (Step("o", "a", cut=None),)}, r"steps\[0\]\.cut"),
        ({"steps": (Step("o", "a", continues_message="no"),)}, r"steps\[0\]\.continues_message"),
        ({"steps": (Step("o", "a", context_start=-1),)}, r"steps\[0\]\.context_start"),
        ({"steps": (Step("o", "a", context_start=2**31),)}, r"steps\[0\]\.context_start"),
        ({"final_observation": None}, "final_observation"),
        ({"task": "half a pair: \ud83d"}, "task"),
        ({"env_id": Path("x")}, "env_id"),
        ({"won": "True"}, "won"),
        ({"won": None}, "won"),
        ({"won": 1}, "won"),
        ({"terminated": False}, "terminated or truncated"),
        ({"terminated": np.array([True, False])}, "terminated"),
        ({"seed": "3"}, "seed"),
        ({"seed": "x"}, "seed"),
        ({"seed": 3.0}, "seed"),
        ({"seed": float("nan")}, "seed"),
        ({"seed": 2**63}, "seed"),
        ({"seed": True}, "seed"),
        ({"env_kwargs": None}, "env_kwargs"),
        ({"env_kwargs": [1]}, "env_kwargs"),
        ({"env_kwargs": {"x": object()}}, "env_kwargs"),
        ({"env_kwargs": {"x": Path("/x")}}, "env_kwargs"),
        ({"env_kwargs": {"x": [{"y": {1, 2}}]}}, "env_kwargs"),
        ({"env_kwargs": {1: "x"}}, "env_kwargs"),
        ({"env_kwargs": {"x": "\ud83d"}}, "env_kwargs"),
        ({"env_kwargs": {"x": 10**5000}}, "env_kwargs"),
        ({"env_kwargs": {"x": math.nan}}, r"env_kwargs\['x'\] of a trajectory is a finite number, got nan"),
        ({"env_kwargs": {"x": {"y": [1, -math.inf]}}}, r"env_kwargs\['x'\]\['y'\]\[1\] .* finite number, got -inf"),
        ({"versions": None}, "versions"),
        ({"versions": {"a": 1}}, "versions"),
        ({"grade": None}, "grade"),
        ({"tokenizer": 3}, "tokenizer"),
        ({"extra": None}, "extra"),
        ({"extra": "{}"}, "extra"),
        ({"extra": {"x": {1, 2}}}, "extra"),
    ],
)
def test_a_wrong_field_is_refused_by_its_name(wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(DataError, match=field) as error:
        to_record(replace(episode(), **wrong))
    assert "\n" not in str(error.value) and len(str(error.value)) < 300


@pytest.mark.parametrize("wrong", [{"steps": []}, None, (STEP,), "episode"])
def test_what_is_no_trajectory_is_refused(wrong: Any) -> None:
    with pytest.raises(DataError, match="is a Trajectory of oreo.trajectory, got"):
        to_record(wrong)


def test_kwargs_that_hold_themselves_or_are_endlessly_deep_are_refused() -> None:
    circle: dict[str, Any] = {}
    circle["x"] = circle
    deep: Any = []
    for _ in range(50_000):
        deep = [deep]
    for kwargs in (circle, {"x": deep}):
        with pytest.raises(DataError, match="env_kwargs"):
            to_record(replace(episode(), env_kwargs=kwargs))


def test_what_means_the_same_is_stored() -> None:
    step = Step("o", "", reward=1, admissible_commands=["a", "b"], candidates=[Candidate("a", 0)])  # type: ignore[arg-type]
    given_one = replace(episode(), steps=[step], won=np.True_, seed=np.int64(3), env_kwargs={"x": (1, ("a",))})  # type: ignore[arg-type]
    back = from_record(checked_record(to_record(given_one)))
    expected = Step("o", "", reward=1.0, admissible_commands=("a", "b"), candidates=(Candidate("a", 0.0),))
    assert back.steps == (expected,) and type(back.steps[0].reward) is float
    assert back.won is True and type(back.seed) is int and back.env_kwargs == {"x": [1, ["a"]]}
    for reward in (np.float32(0.5), Fraction(1, 2), 0.5):
        assert to_record(replace(episode(), steps=(Step("o", "a", reward=reward),)))["episode_return"] == 0.5  # type: ignore[arg-type]
    assert from_record(checked_record(to_record(episode(steps=0)))).steps == ()


# What was read.


def test_records_of_earlier_versions_are_read() -> None:
    considered = Step("o", "a", continues_message=True, candidates=(Candidate("a"),))
    record = to_record(replace(episode(steps=1), steps=(considered,)))
    (step,) = record["steps"]
    for version, added in (
        (5, {"actor"}),
        (4, {"actor", "token_ids"}),
        (3, {"actor", "continues_message", "cut", "token_ids"}),
        (2, {"actor", "continues_message", "cut", "token_ids"}),
        (1, {"actor", "continues_message", "cut", "token_ids", "context_start"}),
    ):
        older = {**record, "steps": [{name: value for name, value in step.items() if name not in added}]}
        older["steps"][0]["candidates"] = [{"text": "a", "log_prob": None, "value": None}]
        if version < 5:
            del older["extra"], older["tokenizer"]
        if version == 3:
            older["steps"][0]["goes_on"] = True
        elif version < 3:
            del older["grade"]
        read = from_record(checked_record(older))
        assert read.steps == (replace(considered, continues_message=version >= 3),) and read.extra == {}


RECORD = to_record(episode(steps=2))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"terminated": False}, "has ended"),
        ({"length": 3}, "length is 3, and there are 2 steps"),
        ({"episode_return": 0.0}, "episode_return is 0.0, and the sum of the rewards is 1.0"),
        ({"episode_return": math.nan}, "episode_return of a trajectory is a finite number, got nan"),
        ({"episode_return": "1.0"}, "episode_return of a trajectory is a finite number"),
        ({"env_kwargs": '{"x": NaN}'}, "env_kwargs is no JSON object"),
        ({"env_kwargs": '{"x": [-Infinity]}'}, "env_kwargs is no JSON object"),
        ({"env_kwargs": '{"x": 1e400}'}, "env_kwargs is no JSON object"),
        ({"steps": [{**RECORD["steps"][0], "reward": math.inf}]}, r"steps\[0\]\.reward of .* finite number, got inf"),
        (
            {"steps": [{**RECORD["steps"][0], "log_prob": math.nan}]},
            r"steps\[0\]\.log_prob of .* finite number, got nan",
        ),
    ],
)
def test_a_value_that_cannot_be_is_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        checked_record(json.loads(json.dumps({**RECORD, **wrong})))


def test_a_return_that_another_tool_has_rounded_is_that_return() -> None:
    rewards = (0.1, 0.2, 0.3, -0.05)
    record = to_record(replace(episode(), steps=tuple(Step("o", "a", reward=reward) for reward in rewards)))
    for total in (math.fsum(rewards), float(np.float32(sum(rewards)))):
        assert checked_record({**record, "episode_return": total})["episode_return"] == sum(rewards)


@pytest.mark.parametrize("wrong", [None, 3, [], {}, {"steps": None}, {"steps": [3]}, {"steps": []}])
def test_what_is_no_record_is_refused(wrong: Any) -> None:
    with pytest.raises(DataError) as error:
        checked_record(wrong)
    assert "\n" not in str(error.value)


def test_a_field_of_a_later_version_is_not_dropped() -> None:
    record = to_record(episode())
    with pytest.raises(NewerVersion, match="mood"):
        checked_record({**record, "mood": "good"})
    with pytest.raises(NewerVersion, match=r"steps\[0\]\.mood"):
        checked_record({**record, "steps": [{**record["steps"][0], "mood": "good"}]})


@settings(max_examples=200, deadline=None)
@given(data=st.data(), value=json_values | st.lists(json_values, max_size=2) | texts)
def test_any_other_value_in_a_record_is_refused_or_is_that_value(data: st.DataObject, value: Any) -> None:
    record = to_record(episode(steps=1))
    where = data.draw(st.sampled_from([record, record["steps"][0]]))
    name = data.draw(st.sampled_from(sorted(where)))
    where[name] = value
    try:
        trajectory = from_record(checked_record(record))
    except DataError as error:
        assert "\n" not in str(error)
        return
    if name in ("episode_return", "length"):
        return
    read = getattr(trajectory.steps[0] if where is not record else trajectory, name)
    read = json.dumps(read, ensure_ascii=False) if name == "env_kwargs" else read
    assert read == (tuple(value) if isinstance(value, list) and isinstance(read, tuple) else value) or name == "steps"
