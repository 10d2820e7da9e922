"""ScienceWorld's tasks (`scienceworld:TASK`; Wang et al., arXiv 2203.07540), each variation a game.

The library is a Java program behind a Python one: both run in a process of their own (foreign.py), one for each
environment, so play few at a time (`--batch-size 2`).
"""

from __future__ import annotations

import shutil
from functools import lru_cache
from typing import Any

import numpy as np

from oreo.envs.foreign import ForeignGame, serve_game
from oreo.envs.foreign_env import ForeignEnv
from oreo.errors import MissingExtra, UsageError, did_you_mean

SPLITS = ("train", "dev", "test")
_NO_LIMIT = 10**9
"""What the library is told for its own step limit: oreo.envs.make sets ours."""
_JAVAS_MEMORY = 1 << 46
"""Bytes of address space: Java reserves as much as the machine has."""


class ScienceWorldEnv(ForeignEnv):
    """ScienceWorld: a task of elementary science, its variations as games, splits as published.

        oreo.envs.make("scienceworld:boil", split="train", simplifications="easy")

    The reward of a step is the change of the score, divided by 100; an episode is won at the full score. The expert
    follows the task's gold path, as long as the episode does. The library draws anew, at each answer, how the
    lists of commands word things without a name of their own ("blue paint", "blue paint in wood cup").

    Args:
        task: one of the library's 30, such as boil, melt, find-plant or power-component.
        split: train, dev or test.
        simplifications: as the library has them, such as "easy" or "teleportAction,openDoors".
        reuse: keep the process from one episode to the next. Several seconds faster; but what a variation looks like
            then depends on what was played before it, because the library (1.2) seeds its chance once for a process.
    Raises:
        MissingExtra: the library or Java is not installed.
        UsageError: no such task or split.
    """

    max_steps = 100
    splits = SPLITS
    points_of_a_reward = 100.0

    def __init__(
        self,
        task: str,
        split: str = "train",
        simplifications: str = "",
        reuse: bool = False,
        render_mode: str | None = None,
    ) -> None:
        if split not in SPLITS:
            raise UsageError(f"unknown split {split!r}: {did_you_mean(str(split), SPLITS)}")
        if shutil.which("java") is None:
            raise MissingExtra("ScienceWorld needs Java (1.8 or newer), and there is no command java on this machine")
        super().__init__(_process(), render_mode)
        self._task, self._simplifications, self._reuse = task, simplifications, reuse
        self.games = [f"{task}-{number}" for number in _variations(task, split)]
        """TASK-VARIATION for each of the split's."""

    def start(self, rng: np.random.Generator, game: str | None = None) -> str:  # type: ignore[override]
        drawn = self.games[int(rng.integers(len(self.games)))]
        name = drawn if game is None else game
        task, _, variation = name.rpartition("-")
        if task != self._task or not variation.isdecimal():
            raise UsageError(f"no game {game!r}: expected {self._task}-VARIATION, such as {self.games[0]}")
        if not self._reuse:
            self.close()
        text = self.begin(name, task=task, variation=int(variation), simplifications=self._simplifications)
        return f"{self._state['task']}\n\n{text}"

    def info(self) -> dict[str, Any]:
        return super().info() | {"task_type": self._task}


def _process() -> ForeignGame:
    return ForeignGame("ScienceWorld", "oreo.envs.scienceworld:main", "pip install 'oreo-agents[scienceworld]'")


@lru_cache(maxsize=64)
def _variations(task: str, split: str) -> list[int]:
    """Asked for once: the answer needs Java."""
    process = _process()
    try:
        return [int(number) for number in process.ask("variations", task=task, split=split)["variations"]]
    finally:
        process.close()


# In the process.


def main() -> None:
    """What the process does."""

    def prepare() -> None:
        import scienceworld  # noqa: F401

    serve_game(prepare, _Player, _JAVAS_MEMORY)


class _Player:
    def __init__(self) -> None:
        from scienceworld import ScienceWorldEnv as Original

        self.env = Original("", envStepLimit=_NO_LIMIT)

    def variations(self, task: str, split: str) -> dict[str, Any]:
        self._check(task)
        self.env.load(task, 0, "")
        return {"variations": list(getattr(self.env, f"get_variations_{split}")())}

    def reset(self, task: str, variation: int, simplifications: str) -> dict[str, Any]:
        self._check(task)
        if variation >= self.env.get_max_variations(task):
            raise UsageError(f"{task} has {self.env.get_max_variations(task)} variations, and no {variation}")
        self.env.load(task, variation, simplifications, generateGoldPath=True)
        text, info = self.env.reset()
        path = [action for action in self.env.get_gold_action_sequence() if not action.startswith("ERROR")]
        return {"task": self.env.get_task_description(), "path": path} | self._state(text, info, False)

    def step(self, text: str) -> dict[str, Any]:
        told, _, done, info = self.env.step(" ".join(text.split()))
        accepted = not told.startswith("No known action matches that input")
        return {"action_valid": accepted} | self._state(told, info, bool(done))

    def _state(self, text: str, info: dict[str, Any], done: bool) -> dict[str, Any]:
        score = int(info["score"])
        commands = sorted(set(info["valid"]))
        won = score >= 100
        return {"text": text, "score": score, "won": won, "done": done or won, "admissible_commands": commands}

    def _check(self, task: str) -> None:
        if task not in (tasks := self.env.get_task_names()):
            raise UsageError(f"ScienceWorld has no task {task!r}: {did_you_mean(task, tasks)}")
