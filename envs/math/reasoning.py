"""Tasks of the package reasoning-gym as a source: it makes the problems, and its own checker judges the answers.

Train and test are kept apart by the hash of the question. Some of its checkers compute with what they are given: they
evaluate it as Python. So they run in a process of their own, which is killed at a deadline and writes no file, starts
no process and opens no connection while it judges. That stops accidents; it is no sandbox for answers made to escape.

Four tasks of 0.1.25 draw from sets of texts, so another process makes other problems of the same names unless
PYTHONHASHSEED is set: isomorphic_strings, list_functions, polynomial_multiplication, ransom_note.
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import json
import os
import pickle
import select
import subprocess
import sys
import threading
import unicodedata
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from oreo.envs.math.problems import Problem
from oreo.errors import EngineError, MissingExtra, UsageError, did_you_mean

PREFIX = "reasoning_gym"
TEST_SHARE = 5
"""One question in so many belongs to test, by its hash."""
SIZE = 20_000
"""Items of a task. Some tasks take no more, or prepare for each."""
ATTEMPTS = 500
MEMORY = 4 << 30
"""Bytes of address space of the checking process."""
STARTING = 120.0
"""Seconds for a checking process to import the package or to prepare a task, on a busy machine."""
_RUN = "import sys; sys.path[:] = sys.argv[1:]; from oreo.envs.math.reasoning import check_forever; check_forever()"


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
            if belongs_to(self.split, str(_item(self.task, self.settings, index)["question"])):
                return self._problem(index)
        raise _too_few(self.task, self.split)

    def named(self, name: str) -> Problem:
        index = name.removeprefix(f"{PREFIX}/{self.task}/").partition("/")[0]
        if not index.isdecimal() or len(index) > 9 or name != name_of(self.task, int(index), self.settings):
            example = name_of(self.task, 0, self.settings)
            raise UsageError(f"no problem {name!r}: here they are called {example}, with other numbers")
        return self._problem(int(index))

    def _problem(self, index: int) -> Problem:
        item = _item(self.task, self.settings, index)
        return Problem(
            name=name_of(self.task, index, self.settings),
            question=str(item["question"]),
            answer=str(item["answer"]),
            subject=self.task,
            check=partial(_checker.correct, self.task, self.settings, item),
        )


def name_of(task: str, index: int, settings: str) -> str:
    """Such as reasoning_gym/leg_counting/7, or …/7/max_animals=4,seed=1."""
    said = [f"{name}={value}" for name, value in json.loads(settings).items() if (name, value) != ("seed", 0)]
    return f"{PREFIX}/{task}/{index}" + (f"/{','.join(said)}" if said else "")


def belongs_to(split: str, question: str) -> bool:
    digest = hashlib.sha256(question.encode()).digest()
    return (int.from_bytes(digest[:8], "big") % TEST_SHARE == 0) == (split == "test")


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
    said = json.dumps({"seed": 0, **settings}, sort_keys=True)
    dataset(task, said)
    return ReasoningGym(task, split, said, None if limit is None else _first(task, split, said, limit))


@lru_cache(maxsize=16)
def _first(task: str, split: str, settings: str, limit: int) -> list[str]:
    """The names of the first so many items of a split whose questions differ."""
    names: dict[str, str] = {}
    for index in range(min(SIZE, ATTEMPTS * limit)):
        question = str(_item(task, settings, index)["question"])
        if belongs_to(split, question):
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


class Checker:
    """A process that runs checkers, started when first needed, and again after one that passed its deadline."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._pid = 0
        self._ready: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def __reduce__(self) -> str:
        return "_checker"  # a copy of an environment, also in another process, uses the one that is there

    def correct(self, task: str, settings: str, item: dict[str, Any], answer: str, seconds: float) -> bool:
        """Whether the task's checker gives this answer to one of its items the full score.

        Raises:
            TimeoutError: no verdict within so many seconds.
            EngineError: the process cannot be started.
        """
        # The item itself: a few tasks make another one of the same index in another process. It is not all JSON.
        request = {"task": task, "settings": settings, "item": base64.b64encode(pickle.dumps(item)).decode()}
        with self._lock:
            process = self._started()
            try:
                if (task, settings) not in self._ready:  # some tasks prepare for seconds
                    _asked(process, {**request, "answer": ""}, STARTING)
                    self._ready.add((task, settings))
                return _asked(process, {**request, "answer": answer}, seconds)
            except (OSError, ValueError, EOFError, TimeoutError) as error:
                self.close()
                # It died over this answer: there is no verdict either.
                raise TimeoutError from error

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is None or self._pid != os.getpid():  # a forked process has one of its own
            self._process = subprocess.Popen(
                [sys.executable, "-c", _RUN, *sys.path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
            )
            self._pid = os.getpid()
            self._ready = set()
            try:
                _line(self._process, STARTING)
            except (EOFError, TimeoutError) as error:
                self.close()
                raise EngineError("the process that checks reasoning_gym's answers does not start") from error
        return self._process

    def close(self) -> None:
        process, self._process = self._process, None
        if process is not None and self._pid == os.getpid():
            process.kill()
            process.communicate()


_checker = Checker()
atexit.register(_checker.close)


def _asked(process: subprocess.Popen[bytes], request: dict[str, Any], seconds: float) -> bool:
    assert process.stdin is not None
    process.stdin.write(json.dumps(request).encode() + b"\n")
    return bool(json.loads(_line(process, seconds)))


def _line(process: subprocess.Popen[bytes], seconds: float) -> bytes:
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], seconds)[0]:
        raise TimeoutError
    line = process.stdout.readline()
    if not line:
        raise EOFError
    return line


def check_forever() -> None:
    """What runs in the checking process: a JSON request a line in, true or false out, until its input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what checkers print is no answer
    import reasoning_gym  # noqa: F401

    with suppress(ImportError, ValueError, OSError):  # there are systems without
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    judging = _Guard()
    sys.addaudithook(judging.refuse)
    print("null", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        items = dataset(request["task"], request["settings"])
        item = pickle.loads(base64.b64decode(request["item"]))
        with judging:
            verdict = _scores_in_full(items, item, request["answer"])
        print(json.dumps(verdict), file=answers, flush=True)


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
    except Exception:  # an answer that its checker cannot read
        return False
