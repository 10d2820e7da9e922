r"""Mathematical problems as a text environment: a solution written step by step, graded at its final answer.

The steps are in steps.py, the problems in sources.py, grading in grading.py.
"""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from oreo.envs.math.answers import MARKED, canonical, check_extract, final_answer
from oreo.envs.math.grading import SECONDS, Grade, checked_seconds, grade
from oreo.envs.math.problems import Problem, Problems, texts
from oreo.envs.math.sources import ProblemQuery, open_source
from oreo.envs.math.steps import (
    STEPS,
    TOOLS,
    reply,
    separator,
    split_steps,
    stops,
    stops_inside,
    without_annotations,
)
from oreo.envs.text_env import TextEnv
from oreo.errors import UsageError, did_you_mean


class MathEnv(TextEnv):
    r"""Mathematical problems, solved step by step.

        env = gym.make("oreo/Math-v0", source="gsm8k:PATH", split="test")
        observation, info = env.reset(seed=7)
        observation, reward, terminated, truncated, info = env.step("In May she sold 48/2 = 24 clips.\n")

    The first observation is the problem. An action is a step of one message, the solution: after each the observation
    is empty and the message goes on, up to the final answer: \boxed{72}, or #### 72. That ends the episode, with reward
    1 if it is right. `info["stop"]` has the strings at which a step ends, the message staying open; an action may come
    with or without them. It has no such key where the message is one action.

    Besides the usual names `info` has level, subject, grade (no_answer until there is one, then correct, wrong or
    timeout), answer, what was found and graded, and answer_key, the same text for answers that are plainly equal, such
    as 24 and 24.0; and extract, where it is not the strict rule by which they are found. The right answer is nowhere
    in it.

    Args:
        source: "generated", "gsm8k:PATH", "math:PATH", "jsonl:PATH", "hub:NAME", "reasoning_gym:TASK"; see
            `oreo.envs.math.sources`.
        split: "train" (the default) or "test". A file is a split of its own.
        step: "line", "sentence" or "solution": what an action is.
        tool: "calculator" answers `<<48/2=` with `24>>`, in the same line, and a line that ends in `48/2 = ?` or
            `48/2?` with one of its value; what it cannot compute, with `error`. None: nobody answers.
        pattern: a regular expression that finds the final answer, its first group or all of it, in place of the forms
            above.
        extract: "marked", the strict rule above. "last number": where nothing is marked, the last number counts, for
            chat models that box nothing. It takes step="solution", as nothing says of a line that it is the last.
        annotations: keep `<<48/2=24>>` in worked solutions, or strip them. None: keep them for the calculator, which
            they are calls of, and strip them without, where each would only say again what stands beside it.
        levels: only problems of these levels (MATH: 1 to 5; generated: the number of steps); None: all.
        subjects: only problems of these subjects; None: all.
        limit: only the first N. Of generated problems, of which there is no end, these are then all.
        question_field, answer_field, solution_field, level_field, subject_field: the fields of "jsonl" and "hub".
        seconds: the deadline for grading one answer.
        settings: of generated problems, fields of `oreo.envs.math.generator.GeneratorSettings`: seed, steps, largest,
            digits, operations, distractors; or of a reasoning_gym task: seed and its own.
    Raises:
        UsageError: an argument that names nothing.
        DataError: missing or malformed files.
        MissingExtra: a source, or the grading of an answer, needs packages that are not installed.
    """

    max_steps = 64  # the longest of GSM8K, by sentences and with the calculator, has 42

    def __init__(
        self,
        source: str = "generated",
        split: str | None = None,
        step: str = "line",
        tool: str | None = None,
        pattern: str | None = None,
        extract: str = MARKED,
        annotations: bool | None = None,
        levels: int | str | Sequence[int | str] | None = None,
        subjects: str | Sequence[str] | None = None,
        limit: int | None = None,
        question_field: str | None = None,
        answer_field: str | None = None,
        solution_field: str | None = None,
        level_field: str | None = None,
        subject_field: str | None = None,
        seconds: float = SECONDS,
        render_mode: str | None = None,
        **settings: Any,
    ) -> None:
        super().__init__(render_mode)
        if step not in STEPS:
            raise UsageError(f"unknown step {step!r}: {did_you_mean(str(step), STEPS)}")
        if tool is not None and tool not in TOOLS:
            raise UsageError(f"unknown tool {tool!r}: {did_you_mean(str(tool), TOOLS)}")
        if pattern is not None:
            _check_pattern(pattern)
        check_extract(extract, pattern)
        if extract != MARKED and step != "solution":
            raise UsageError(f"extract={extract!r} needs step='solution': of a {step} nothing says that it is the last")
        if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
            raise UsageError(f"limit={limit!r}: expected a whole number of at least 1")
        checked_seconds(seconds)
        if annotations not in (None, True, False):
            raise UsageError(f"annotations={annotations!r}: expected true or false")
        fields = {
            "question": question_field,
            "answer": answer_field,
            "solution": solution_field,
            "level": level_field,
            "subject": subject_field,
        }
        query = ProblemQuery(
            source=os.fspath(source),
            split=split,
            levels=texts("levels", levels),
            subjects=texts("subjects", subjects),
            limit=limit,
            fields={what: field for what, field in fields.items() if field is not None},
            settings=settings,
        )
        self._problems: Problems = open_source(query)
        self.games = self._problems.games
        """Ids of the problems; None where there is no end of them."""
        self.step_is, self.tool, self.pattern, self.seconds = step, tool, pattern, seconds
        self.extract = extract
        self.annotations = annotations if annotations is not None else tool == "calculator"
        self._stop = stops(step, tool)
        self._now: _Episode | None = None

    def start(self, rng: np.random.Generator, *, game: str | None = None, **unknown: Any) -> str:
        if unknown:
            name = next(iter(unknown))
            raise UsageError(f"unknown reset option {name!r}: {did_you_mean(name, ('game',))}")
        if game is not None and not isinstance(game, str):
            raise UsageError(f"options['game'] is the name of a problem, got {game!r}")
        problem = self._problems.draw(rng) if game is None else self._problems.named(game)
        solution = problem.solution if self.annotations else without_annotations(problem.solution)
        self._now = _Episode(problem, tuple(split_steps(solution, self.step_is, self.tool)))
        return problem.question

    def act(self, text: str) -> tuple[str, float, bool]:
        now = self._episode()
        if now.over:
            raise UsageError("the episode is over: call reset() first")
        # A turn that ended in a line break may come with it, with another system's, or without.
        text = text.replace("\r\n", "\n")
        if not text.strip():
            text = "\n" if now.inside else ""
        written = now.message + text
        inside = stops_inside(written, self.tool)
        if not inside:
            written += separator(text, self.step_is)
        response = reply(written, lines=self.step_is != "solution") if self.tool else ""
        now = replace(now.following(text, inside), message=written + response, inside=inside)
        if not inside:
            grading = self._graded(now)
            # An empty mark is no answer yet.
            if grading.outcome != "no_answer" or (self.step_is == "solution" and not response):
                now = replace(now, graded=grading)
        self._now = now
        won = now.graded is not None and now.graded.correct
        return response, float(won), now.over

    def info(self) -> dict[str, Any]:
        now = self._episode()
        answer = None if now.graded is None else now.graded.answer
        facts = {
            "task": now.problem.question,
            "task_type": now.problem.subject,
            "game": now.problem.name,
            "level": now.problem.level,
            "subject": now.problem.subject,
            "grade": "no_answer" if now.graded is None else now.graded.outcome,
            "answer": answer,
            "answer_key": None if answer is None else canonical(answer),
        }
        if self.extract != MARKED:
            facts["extract"] = self.extract
        return facts | ({"stop": self._stop} if self._stop else {})

    def expert_action(self) -> str:
        """The next step of the worked solution, with its line break where another follows.

        A step that is not the solution's own leaves the expert where it was: it says next what it would have said. Is
        the message then in the middle of a line (only with the calculator), it ends that line first, and begins its
        own line anew.
        """
        now = self._episode()
        if now.over:
            raise UsageError("the episode is over: call reset() first")
        if not now.solution:
            raise UsageError(f"{now.problem.name} has no worked solution: choose another agent or source")
        if now.astray:
            return "\n"
        if now.done == len(now.solution):
            raise UsageError(
                f"the worked solution of {now.problem.name} is over and has no final answer that "
                + (f"pattern={self.pattern!r} finds" if self.pattern else "was found in it")
            )
        return now.solution[now.done]

    @property
    def message(self) -> str:
        """What has been written so far, what the calculator said included."""
        return self._episode().message

    def snapshot(self) -> Any:
        """The episode as it stands, to be given to `restore`. Step limits do not go back."""
        return self._episode(), self._text

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot, any number of times. Raises UsageError for what is none."""
        if not (isinstance(snapshot, tuple) and len(snapshot) == 2 and isinstance(snapshot[0], _Episode)):
            raise UsageError(f"restore() takes what snapshot() gave, got {type(snapshot).__name__}")
        self._now, self._text = snapshot

    def __deepcopy__(self, memo: dict[int, Any]) -> MathEnv:
        # Problems never change and may be thousands; the episode is immutable. Only randomness is of one's own.
        twin = type(self).__new__(type(self))
        twin.__dict__.update(self.__dict__)
        memo[id(self)] = twin
        twin._np_random = copy.deepcopy(self._np_random, memo)
        return twin

    def _episode(self) -> _Episode:
        if self._now is None:
            raise UsageError("no problem is in progress: call reset() first")
        return self._now

    def _graded(self, now: _Episode) -> Grade:
        message = without_annotations(now.message)  # <<292*1=292>>292 says 292
        if now.problem.check is None:
            return grade(message, now.problem.answer, pattern=self.pattern, extract=self.extract, seconds=self.seconds)
        answer = None
        try:
            answer = final_answer(message, self.pattern, self.extract)
            if not answer:
                return Grade("no_answer", None)
            return Grade("correct" if now.problem.check(answer, self.seconds) else "wrong", answer)
        except TimeoutError:
            return Grade("timeout", answer)


@dataclass(frozen=True)
class _Episode:
    """An episode as it stands. Each step makes another."""

    problem: Problem
    solution: tuple[str, ...]
    """The turns of the worked solution."""
    message: str = ""
    inside: bool = False
    """Whether the message stops in the middle of a step."""
    done: int = 0
    """Turns of the worked solution that were said."""
    line: int = 0
    """The turn with which the line in progress began."""
    astray: bool = False
    """Whether the line in progress is not the solution's, and not over."""
    graded: Grade | None = None

    @property
    def over(self) -> bool:
        return self.graded is not None

    def following(self, text: str, inside: bool) -> _Episode:
        """Return the episode after these words: how far the worked solution has been followed.

        Args:
            inside: whether they stop in the middle of a step.
        """
        squeezed = _squeezed(text)
        whole = ""
        for index in range(self.done, len(self.solution) if not self.astray else 0):
            whole += _squeezed(self.solution[index])
            if whole == squeezed:
                return replace(self, done=index + 1, line=self.line if inside else index + 1)
            if not squeezed.startswith(whole):
                break
        return replace(self, done=self.line, astray=inside)


def _squeezed(text: str) -> str:
    """Return the text without white space, of which agents and their tokenizers are no good keepers."""
    return "".join(text.split())


def _check_pattern(pattern: str) -> None:
    if not isinstance(pattern, str):
        raise UsageError(f"pattern={pattern!r}: expected a regular expression such as 'answer is (.+)'")
    final_answer("", pattern)
