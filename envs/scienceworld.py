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
from oreo.envs.text_env import TextEnv
from oreo.errors import MissingExtra, UsageError, did_you_mean

SPLITS = ("train", "dev", "test")
_INSTALL = "pip install 'oreo-agents[scienceworld]'"
_NO_LIMIT = 10**9
"""What the library is told for its own step limit: oreo.envs.make sets ours."""
_JAVAS_MEMORY = 1 << 46
"""Bytes of address space: Java reserves as much as the machine has."""


class ScienceWorldEnv(TextEnv):
    """ScienceWorld: a task of elementary science, its variations as games, splits as published.

        oreo.envs.make("scienceworld:boil", split="train", simplifications="easy")

    The reward of a step is the change of the score, divided by 100; an episode is won at the full score. The expert
    follows the task's gold path, as long as the episode does. In the lists of commands, things without a name of their
    own may be worded otherwise in another process ("blue paint", "blue paint in wood cup"): so it is in the library.

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

    def __init__(
        self,
        task: str,
        split: str = "train",
        simplifications: str = "",
        reuse: bool = False,
        render_mode: str | None = None,
    ) -> None:
        super().__init__(render_mode)
        if split not in SPLITS:
            raise UsageError(f"unknown split {split!r}: {did_you_mean(str(split), SPLITS)}")
        if shutil.which("java") is None:
            raise MissingExtra("ScienceWorld needs Java (1.8 or newer), and there is no command java on this machine")
        self._task, self._simplifications, self._reuse = task, simplifications, reuse
        self._game = ForeignGame("ScienceWorld", "oreo.envs.scienceworld:main", _INSTALL)
        self.games = [f"{task}-{number}" for number in _variations(task, split)]
        """TASK-VARIATION for each of the split's."""
        self._name, self._state = "", dict[str, Any]()
        self._gold: list[str] = []
        self._on_path = 0
        self._valid: bool | None = None

    def start(self, rng: np.random.Generator, game: str | None = None) -> str:  # type: ignore[override]
        drawn = self.games[int(rng.integers(len(self.games)))]
        self._state = {}
        self._name = drawn if game is None else game
        task, _, variation = self._name.rpartition("-")
        if task != self._task or not variation.isdecimal():
            raise UsageError(f"no game {game!r}: expected {self._task}-VARIATION, such as {self.games[0]}")
        if not self._reuse:
            self._game.close()
        self._state = self._game.ask(
            "reset", task=task, variation=int(variation), simplifications=self._simplifications
        )
        self._gold, self._on_path, self._valid = self._state["gold"], 0, None
        return f"{self._state['task']}\n\n{self._state['text']}"

    def act(self, text: str) -> tuple[str, float, bool]:
        before = self._now()
        command = " ".join(text.split())
        if 0 <= self._on_path < len(self._gold):
            self._on_path = self._on_path + 1 if command == self._gold[self._on_path] else -1
        self._state = before | self._game.ask("step", command=command)
        self._valid = not self._state["text"].startswith("No known action matches that input")
        self.won = self._state["score"] >= 100
        reward = (self._state["score"] - before["score"]) / 100
        return self._state["text"], reward, bool(self._state["done"]) or self.won

    def info(self) -> dict[str, Any]:
        now = self._now()
        return {
            "task": now["task"],
            "task_type": self._task,
            "game": self._name,
            "admissible_commands": now["commands"],
            "action_valid": self._valid,
        }

    def expert_action(self) -> str:
        """The next step of the gold path."""
        self._now()
        if not 0 <= self._on_path < len(self._gold):
            raise UsageError(f"the episode of {self._name} has left the gold path, and there is no other expert of it")
        return self._gold[self._on_path]

    def close(self) -> None:
        self._game.close()
        self._state = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_state": {}}  # the process plays the original; a copy wants a reset

    def _now(self) -> dict[str, Any]:
        if not self._state:
            raise UsageError("no game is in progress: call reset() first")
        return self._state


@lru_cache(maxsize=64)
def _variations(task: str, split: str) -> list[int]:
    """Asked for once: the answer needs Java."""
    game = ForeignGame("ScienceWorld", "oreo.envs.scienceworld:main", _INSTALL)
    try:
        return [int(number) for number in game.ask("variations", task=task, split=split)["variations"]]
    finally:
        game.close()


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
        gold = [action for action in self.env.get_gold_action_sequence() if not action.startswith("ERROR")]
        return {"task": self.env.get_task_description(), "gold": gold} | self._state(text, info, False)

    def step(self, command: str) -> dict[str, Any]:
        text, _, done, info = self.env.step(command)
        return self._state(text, info, done)

    def _state(self, text: str, info: dict[str, Any], done: bool) -> dict[str, Any]:
        return {"text": text, "score": int(info["score"]), "done": bool(done), "commands": sorted(set(info["valid"]))}

    def _check(self, task: str) -> None:
        if task not in (tasks := self.env.get_task_names()):
            raise UsageError(f"ScienceWorld has no task {task!r}: {did_you_mean(task, tasks)}")
