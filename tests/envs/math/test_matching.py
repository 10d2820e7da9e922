"""Which problem a recorded solution is of: by its question, alone or in a prompt; and whether it is right."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oreo.envs.matching import matcher
from oreo.errors import DataError, UsageError
from oreo.rollouts.verify import Verifier
from oreo.trajectory import Step, Trajectory

QUESTIONS = {
    "Ann has 3 pears and buys 4 more.\nHow many has she?": "7",
    "Ann has 3 pears and buys 4 more.\nHow many has she? Bob eats 2 of hers. How many are there now?": "5",
    "What is 6 times 7, and nothing else?": "42",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rows = [{"question": question, "answer": f"#### {answer}"} for question, answer in QUESTIONS.items()]
    (tmp_path / "train.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[:2]))
    (tmp_path / "test.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[2:]))
    return tmp_path


def solution(prompt: str, *lines: str, won: bool = True) -> Trajectory:
    steps = [
        Step(
            "" if at else prompt,
            line,
            continues_message=at < len(lines) - 1,
            reward=float(won and at == len(lines) - 1),
        )
        for at, line in enumerate(lines)
    ]
    return Trajectory("", tuple(steps), "", True, False, won)


def test_a_solution_finds_its_problem_and_plays_again_in_it(folder: Path) -> None:
    match = matcher("math", f"gsm8k:{folder}")
    for question, answer in QUESTIONS.items():
        matched = match(solution(question, "I think.\n", f"#### {answer}"), True)
        assert matched.found and matched.trajectory.task == question
        assert matched.trajectory.game.startswith("gsm8k/") and matched.trajectory.env_id == "oreo/Math-v0"
        with Verifier() as verifier:
            verdict, played = verifier.verify(matched.trajectory)
        assert verdict.won and verdict.outcome_holds and played is not None and played.grade == "correct"
        with Verifier() as verifier:
            verdict, _ = verifier.verify(match(solution(question, "#### 99"), True).trajectory)
        assert verdict.won is False and not verdict.outcome_holds  # it claims to be right


def test_a_question_is_found_inside_a_prompt_and_the_longer_one_of_two(folder: Path) -> None:
    match = matcher("math", f"gsm8k:{folder}")
    for question in QUESTIONS:
        prompt = f"Solve step by step.  {' '.join(question.split())}\nAnswer:"
        assert match(solution(prompt, "#### 1"), True).trajectory.task == question


def test_an_outcome_that_the_source_does_not_say_is_graded(folder: Path) -> None:
    match = matcher("math", f"gsm8k:{folder}")
    for answer, won in (("42", True), ("42.0", True), ("41", False), ("none", False)):
        matched = match(solution("What is 6 times 7, and nothing else?", f"#### {answer}", won=not won), False)
        assert matched.outcome_known and matched.trajectory.won == won


def test_where_no_problem_or_several_fit_none_is_taken(folder: Path) -> None:
    row = {"question": "What is 6 times 7, and nothing else?", "answer": "#### 43"}
    with (folder / "test.jsonl").open("a") as file:
        file.write(json.dumps(row) + "\n")
    match = matcher("math", f"gsm8k:{folder}")
    several = match(solution(row["question"], "#### 42"), True)
    assert several.found is False and len(several.games) == 2 and not several.trajectory.game
    none = match(solution("What is one?", "#### 1"), True)
    assert none.found is False and "no problem with its question" in none.why and not none.games


def test_one_file_is_a_source_and_what_is_none_is_refused(folder: Path) -> None:
    match = matcher("math", f"jsonl:{folder / 'test.jsonl'}")
    found = match(solution("What is 6 times 7, and nothing else?", "#### 42"), True)
    assert found.found and "split" not in found.trajectory.env_kwargs
    for source, error in (("gsm9k:x", UsageError), ("generated", UsageError), (f"gsm8k:{folder / 'no'}", DataError)):
        with pytest.raises(error):
            matcher("math", source)
    assert matcher("math")(solution("What is one?", "#### 1"), True).found is None
