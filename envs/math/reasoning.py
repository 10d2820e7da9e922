"""Tasks of the package reasoning-gym as a source: it makes the problems, and its own checker judges the answers.

Train and test are kept apart by the hash of the question. Some of its checkers compute with what they are given: they
evaluate it as Python. So they run in a process of their own (killable.py), which is killed at a deadline and writes no
file, starts no process and opens no connection while it judges. That stops accidents; it is no sandbox for answers made
to escape.

Four tasks of 0.1.25 draw from sets of texts, so another process makes other problems of the same names unless
PYTHONHASHSEED is set: isomorphic_strings, list_functions, polynomial_multiplication, ransom_note.
"""

from __future__ import annotations

import atexit
import base64
import json
import os
import pickle
import sys
import threading
import unicodedata
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from oreo.envs.killable import STARTING, Worker, serve
from oreo.envs.math.problems import Problem, other_split, split_of
from oreo.errors import EngineError, MissingExtra, UsageError, did_you_mean

PREFIX = "reasoning_gym"
SIZE = 20_000
"""Items of a task. Some tasks take no more, or prepare for each."""
ATTEMPTS = 500
MEMORY = 4 << 30
"""Bytes of address space of the checking process."""
_RUN = "from oreo.envs.math.reasoning import main; main()"


@dataclass(frozen=True)
class ReasoningGym:
    """Items of a task. An item's name holds its index and what the task was set to."""

    task: str
    split: str
    settings: str
    """seed and the task's own, as JSON."""
    games: list[str] | None

    def draw(self, rng: np.random.Generator) -> Problem:
        if self.games is not None:
            return self.named(self.games[int(rng.integers(len(self.games)))])
        for _ in range(ATTEMPTS):
            index = int(rng.integers(SIZE))
            problem = self._problem(index)
            if split_of(problem.question) == self.split:
                return problem
        raise _too_few(self.task, self.split)

    def named(self, name: str) -> Problem:
        index = name.removeprefix(f"{PREFIX}/{self.task}/").partition("/")[0]
        if not index.isdecimal() or len(index) > 9 or name != name_of(self.task, int(index), self.settings):
            example = name_of(self.task, 0, self.settings)
            raise UsageError(f"no problem {name!r}: here they are called {example}, with other numbers")
        problem = self._problem(int(index))
        if (split := split_of(problem.question)) != self.split:
            raise other_split(name, split, self.split)
        if self.games is not None and name not in self.games:
            limits = f"limit={len(self.games)}: the last of them is {self.games[-1]}"
            raise UsageError(f"{name} is not among the problems of {limits}")
        return problem

    def _problem(self, index: int) -> Problem:
        item = _item(self.task, self.settings, index)
        return Problem(
            name=name_of(self.task, index, self.settings),
            question=str(item["question"]),
            answer=str(item["answer"]),
            subject=self.task,
            check=partial(correct, self.task, self.settings, item),
        )


def name_of(task: str, index: int, settings: str) -> str:
    """Return a name such as reasoning_gym/leg_counting/7, or …/7/max_animals=4,seed=1."""
    pairs = [f"{name}={value}" for name, value in json.loads(settings).items() if (name, value) != ("seed", 0)]
    return f"{PREFIX}/{task}/{index}" + (f"/{','.join(pairs)}" if pairs else "")


def _item(task: str, settings: str, index: int) -> Any:
    try:
        return dataset(task, settings)[index]
    except IndexError:
        raise UsageError(f"{task} of reasoning_gym has no item {index}") from None


def _too_few(task: str, split: str) -> UsageError:
    return UsageError(f"{task} of reasoning_gym has too few problems for the split {split}: choose other settings")


def open_task(task: str, split: str, settings: dict[str, Any], limit: int | None) -> ReasoningGym:
    """A task as a source.

    Raises:
        MissingExtra: reasoning-gym is not installed.
        UsageError: no such task, or settings that it does not take.
    """
    canonical = json.dumps({"seed": 0, **settings}, sort_keys=True)
    dataset(task, canonical)
    return ReasoningGym(task, split, canonical, None if limit is None else _first(task, split, canonical, limit))


@lru_cache(maxsize=16)
def _first(task: str, split: str, settings: str, limit: int) -> list[str]:
    """The names of the first N items of a split whose questions differ."""
    names: dict[str, str] = {}
    for index in range(min(SIZE, ATTEMPTS * limit)):
        question = str(_item(task, settings, index)["question"])
        if split_of(question) == split:
            names.setdefault(question, name_of(task, index, settings))
            if len(names) == limit:
                return list(names.values())
    raise _too_few(task, split)


@lru_cache(maxsize=16)
def dataset(task: str, settings: str) -> Any:
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise MissingExtra(f"source='{PREFIX}:{task}' needs {error.name}: pip install 'oreo-agents[math]'") from error
    if task not in DATASETS:
        raise UsageError(f"reasoning_gym has no task {task!r}: {did_you_mean(task, sorted(DATASETS))}")
    try:
        return reasoning_gym.create_dataset(task, **json.loads(settings), size=SIZE)
    except (TypeError, ValueError, AssertionError) as error:
        raise UsageError(f"reasoning_gym's {task} does not take {settings}: {error}") from None


# Checking.


class _Checking:
    """The process that runs checkers, started when first needed, and again after one that passed its deadline."""

    def __init__(self) -> None:
        self.worker: Worker | None = None
        self.prepared: set[tuple[str, str]] = set()
        """The tasks that it has made."""
        self.lock = threading.Lock()

    def ask(self, request: dict[str, Any], seconds: float) -> bool:
        """Ask the process. Any exception ends it: its answer is not due. See Worker.ask and `started`."""
        answered = False
        try:
            worker = self.worker or self.started()
            task = request["task"], request["settings"]
            if task not in self.prepared:  # some tasks prepare for seconds
                worker.ask({**request, "answer": ""}, STARTING)
                self.prepared.add(task)
            right = bool(worker.ask(request, seconds)["right"])
            answered = True
        finally:
            if not answered:
                self.close()
        return right

    def started(self) -> Worker:
        try:
            self.worker, self.prepared = Worker(_RUN), set()
            self.worker.start()
        except (ImportError, EOFError, OSError) as error:
            raise EngineError(
                f"the process that checks reasoning_gym's answers does not start: {str(error) or 'it ends at once'}"
            ) from error
        return self.worker

    def close(self) -> None:
        worker, self.worker = self.worker, None
        if worker is not None:
            worker.kill()


_checking = _Checking()


def correct(task: str, settings: str, item: dict[str, Any], answer: str, seconds: float) -> bool:
    """Return whether the task's checker gives this answer to one of its items the full score.

    Args:
        seconds: the deadline, from when the process is free and has prepared the task.
    Raises:
        TimeoutError: no verdict by then, or two processes died over it one after the other.
        EngineError: the process cannot be started.
    """
    # The item itself: a few tasks make another one of the same index in another process. It is not all JSON.
    pickled = base64.b64encode(pickle.dumps(item)).decode()
    request = {"task": task, "settings": settings, "item": pickled, "answer": answer}
    with _checking.lock:
        for _ in range(2):  # a process that was killed by somebody else says nothing about the answer
            try:
                return _checking.ask(request, seconds)
            except TimeoutError:
                break
            except (EOFError, OSError, ValueError):
                pass
    raise TimeoutError


def close() -> None:
    """End the process. What is asked later starts another."""
    _checking.close()


def _forked() -> None:
    """Let go of it in a forked process, which starts one of its own."""
    global _checking
    if _checking.worker is not None:
        _checking.worker.disown()
    _checking = _Checking()


atexit.register(close)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def main() -> None:
    """Run in the process: answer `{"task", "settings", "item", "answer"}` with `{"right"}`."""
    judging = _Guard()

    def prepare() -> None:
        import reasoning_gym  # noqa: F401

        sys.addaudithook(judging.refuse)

    def judge(request: dict[str, Any]) -> dict[str, Any]:
        items = dataset(request["task"], request["settings"])
        item = pickle.loads(base64.b64decode(request["item"]))
        with judging:
            return {"right": _scores_in_full(items, item, request["answer"])}

    serve(prepare, judge, MEMORY)


_OUTSIDE = ("os", "subprocess", "socket", "shutil", "ctypes", "pty", "tempfile", "urllib", "signal", "mmap")


class _Guard:
    """Refuses, between enter and exit, what no checker has to do. Python tells it beforehand (PEP 578)."""

    def __init__(self) -> None:
        self._on = False

    def __enter__(self) -> None:
        self._on = True

    def __exit__(self, *error: object) -> None:
        self._on = False

    def refuse(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self._on:
            return
        if event == "open":
            _, mode, flags = arguments
            harmless = not set(mode or "") & set("wax+") and not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        else:
            # Imports list folders; all else by these names changes something outside, or reaches around Python.
            harmless = event in ("os.listdir", "os.scandir") or event.split(".")[0] not in _OUTSIDE
        if not harmless:
            raise PermissionError(f"a checker is not to do this: {event}")


def _scores_in_full(items: Any, item: dict[str, Any], answer: str) -> bool:
    if answer == item["answer"]:
        return True
    # The way from evaluated arithmetic to everything else in Python, which reads ＿ as _.
    if "__" in unicodedata.normalize("NFKC", answer):
        return False
    try:
        return float(items.score_answer(answer, item)) >= 1.0
    except (Exception, SystemExit):  # an answer that its checker cannot read
        return False
