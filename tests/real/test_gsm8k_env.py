"""Every gold solution of GSM8K, stepped through the environment: won, lost with another number, and recalculated."""

from __future__ import annotations

import re
import time
from collections import Counter
from fractions import Fraction

import pytest

from helpers.shared_data import SHARED
from oreo.envs.math.calculator import calculate
from oreo.envs.math.env import MathEnv

GSM8K = SHARED / "gsm8k"
pytestmark = pytest.mark.skipif(not GSM8K.is_dir(), reason=f"no GSM8K at {GSM8K} (set OREO_SHARED)")

PROBLEMS = {"train": 7_473, "test": 1_319}
ANNOTATIONS = 27_998
WRITTEN_DIFFERENTLY = {
    "zeros at the end: 18+9=27.00": 730,
    "no zero before the point: 2/10=.2": 92,
    "left as a fraction: 3/4=3/4": 1,
}
"""Annotations that the calculator answers with the same value in other characters. (Values: there is no exception.)"""


def environment(split: str, **made: str) -> MathEnv:
    env = MathEnv(source=f"gsm8k:{GSM8K}", split=split, **made)
    assert env.games is not None and len(set(env.games)) == PROBLEMS[split]
    assert all(game.startswith(f"gsm8k/{split}/") for game in env.games)
    return env


def changed(last: str) -> str:
    """The last line with another number."""
    mark, _, number = last.partition("#### ")
    assert not mark
    return f"#### {int(number.replace(',', '')) + 1}"


def test_every_solution_wins_line_by_line_and_loses_with_its_final_number_changed() -> None:
    start, steps = time.perf_counter(), 0
    for split in PROBLEMS:
        env = environment(split)
        for game in env.games or ():
            question, info = env.reset(options={"game": game})
            assert question == info["task"]
            done = False
            while not done:
                action, before = env.expert_action(), env.snapshot()
                observation, reward, done, _, info = env.step(action)
                steps += 1
                assert observation == "" and reward == float(done) and action.endswith("\n") != done
            assert info["grade"] == "correct" and action.startswith("#### ")
            env.restore(before)
            _, reward, done, _, info = env.step(changed(action))
            assert (reward, done, info["grade"]) == (0.0, True, "wrong")
    print(f"\n{sum(PROBLEMS.values()):,} solutions, {steps:,} steps, twice graded: {time.perf_counter() - start:.1f} s")


@pytest.mark.parametrize("step", ["sentence", "solution"])
def test_every_solution_wins_cut_otherwise(step: str) -> None:
    for split in PROBLEMS:
        env = environment(split, step=step)
        for game in env.games or ():
            env.reset(options={"game": game})
            done = False
            while not done:
                _, reward, done, _, _ = env.step(env.expert_action())
            assert reward == 1, game


def test_the_calculator_answers_every_annotation_with_the_annotated_value() -> None:
    start, answered, longest = time.perf_counter(), 0, 0
    causes: Counter[str] = Counter()
    for split in PROBLEMS:
        env = environment(split, tool="calculator")
        for game in env.games or ():
            env.reset(options={"game": game})
            gold = env.snapshot()[0].problem.solution
            annotated = re.findall(r"<<[^<>]*=([^<>]*)>>", gold)
            computed, turns, done = [], 0, False
            while not done:
                observation, reward, done, _, _ = env.step(env.expert_action())
                computed += [observation.removesuffix(">>")] if observation else []
                turns += 1
            assert reward == 1 and len(computed) == len(annotated)
            assert [calculate(text) for text in computed] == [calculate(calculation) for calculation in annotated]
            causes.update(cause(one, other) for one, other in zip(computed, annotated, strict=True) if one != other)
            without = re.compile(r"=[^<>]*>>")
            assert without.sub("", env.message).split() == without.sub("", gold).split()
            answered, longest = answered + len(computed), max(longest, turns)
    assert answered == ANNOTATIONS and causes == WRITTEN_DIFFERENTLY
    assert longest <= MathEnv.max_steps, "the step limit leaves room for every solution"
    print(
        f"\n{answered:,} annotations answered in {time.perf_counter() - start:.1f} s, at most {longest} turns a problem"
    )


def cause(computed: str, annotated: str) -> str:
    if "/" in annotated:
        return "left as a fraction: 3/4=3/4"
    if annotated.endswith("0"):
        return "zeros at the end: 18+9=27.00"
    if annotated.startswith("."):
        return "no zero before the point: 2/10=.2"
    return f"{Fraction(computed)} for {annotated}"
