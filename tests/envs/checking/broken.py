"""A world without faults, and copies of it with one fault each, for the checks to find."""

from __future__ import annotations

import mmap
import os
import random
import sys
import threading
import time
from typing import Any

import gymnasium as gym
import numpy as np

from oreo.envs import TextEnv

STOP = threading.Event()
"""Never set while the checks run: the threads that wait for it end with the tests."""


class Sound(TextEnv):
    """A corridor of five rooms; the coin is in one of them."""

    max_steps = 20

    def start(self, rng: np.random.Generator) -> str:
        self.place, self.coin = 2, int(rng.choice([0, 4]))
        self.valid = True
        return f"You are in room 2 of 0 to 4. A coin shines in room {self.coin}."

    def commands(self) -> list[str]:
        return (["left"] if self.place > 0 else []) + (["right"] if self.place < 4 else []) + ["wait"]

    def act(self, text: str) -> tuple[str, float, bool]:
        self.valid = text in self.commands()
        if not self.valid:
            return "You cannot.", 0.0, False
        self.place += {"left": -1, "right": 1, "wait": 0}[text]
        self.won = self.place == self.coin
        return f"You are in room {self.place}.", float(self.won), self.won

    def info(self) -> dict[str, Any]:
        return {"task": "take the coin", "admissible_commands": self.commands(), "action_valid": self.valid}

    def expert_action(self) -> str:
        return "left" if self.coin < self.place else "right"

    def snapshot(self) -> Any:
        return self.place, self.coin, self.valid, self.won

    def restore(self, snapshot: Any) -> None:
        self.place, self.coin, self.valid, self.won = snapshot


class Raises(Sound):
    def act(self, text: str) -> tuple[str, float, bool]:
        if self.place == 3:
            raise KeyError("room 3")
        return super().act(text)


class WrongType(Sound):
    def act(self, text: str) -> tuple[str, float, bool]:
        _, reward, done = super().act(text)
        return None if text == "wait" else "A room.", reward, done  # type: ignore[return-value]


class Hangs(Sound):
    def act(self, text: str) -> tuple[str, float, bool]:
        if text == "wait":
            time.sleep(30)
        return super().act(text)


class HangsAndPrints(Hangs):
    def start(self, rng: np.random.Generator) -> str:
        print("DEBUG")
        return super().start(rng)


class Dies(Sound):
    def act(self, text: str) -> tuple[str, float, bool]:
        if text == "wait" and "oreo.envs.checking.checks" not in sys.modules:
            os._exit(7)  # in the other process alone: it would take the tests along
        return super().act(text)


class Exits(Sound):
    def act(self, text: str) -> tuple[str, float, bool]:
        if text == "wait":
            os._exit(7)
        return super().act(text)


class Prints(Sound):
    def act(self, text: str) -> tuple[str, float, bool]:
        os.write(1, b"raw\n")
        return super().act(text)


class GlobalRandom(Sound):
    def start(self, rng: np.random.Generator) -> str:
        said = super().start(rng)
        return f"{said} {random.random()} {np.random.rand()}"


class SeedsGlobal(Sound):
    def start(self, rng: np.random.Generator) -> str:
        np.random.seed(0)
        return super().start(rng)


class SeedsGlobalAlike(gym.Env[str, str]):
    max_steps = 10
    observation_space = action_space = Sound.observation_space

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        random.seed(seed)
        self.steps = 0
        return "Say anything.", {}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        self.steps += 1
        return f"{self.steps} said.", float(self.steps == 5), self.steps == 5, False, {}


class OwnRandom(Sound):
    def start(self, rng: np.random.Generator) -> str:
        return f"{super().start(rng)} It is {np.random.default_rng().random()} o'clock."


class HashOrder(Sound):
    def start(self, rng: np.random.Generator) -> str:
        return f"{super().start(rng)} You see {' '.join({'a fork', 'a bowl', 'an axe', 'a key', 'a mug', 'a hat'})}."


class Remembers(Sound):
    visits = 0

    def start(self, rng: np.random.Generator) -> str:
        self.visits += 1
        return f"{super().start(rng)} Visit {self.visits}."


class Shared(Sound):
    world: dict[str, int] = {}

    def start(self, rng: np.random.Generator) -> str:
        said = super().start(rng)
        self.world["place"] = 2
        return said

    def act(self, text: str) -> tuple[str, float, bool]:
        self.place = self.world["place"]
        answer = super().act(text)
        self.world["place"] = self.place
        return answer

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("not to be copied")

    snapshot = None  # type: ignore[assignment]


class RefusesListed(Sound):
    def commands(self) -> list[str]:
        return [*super().commands(), "fly"]

    def act(self, text: str) -> tuple[str, float, bool]:
        answer = super().act("no" if text == "fly" else text)
        return answer


class RefusesListedLater(Sound):
    """A command that few episodes list, and not in their beginning."""

    def commands(self) -> list[str]:
        return super().commands() + (["jump"] if self.place in (1, 3) else [])

    def act(self, text: str) -> tuple[str, float, bool]:
        if text == "jump":
            self.valid = False
            return "You cannot.", 0.0, False
        return super().act(text)


class RefusedMoves(Sound):
    def act(self, text: str) -> tuple[str, float, bool]:
        if text not in self.commands():
            self.place = 2
        return super().act(text)


class NoCommands(Sound):
    def commands(self) -> list[str]:
        return super().commands() if self.place == 2 else []

    def act(self, text: str) -> tuple[str, float, bool]:
        listed, self.commands = self.commands, lambda: ["left", "right", "wait"]  # type: ignore[method-assign]
        try:
            self.place = min(3, max(1, self.place))
            return super().act(text)
        finally:
            del self.commands
            del listed

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in vars(self).items() if key != "commands"}


class WonUnpaid(Sound):
    def act(self, text: str) -> tuple[str, float, bool]:
        said, _, done = super().act(text)
        return said, 0.0, done


class WonSticks(Sound):
    def start(self, rng: np.random.Generator) -> str:
        said = super().start(rng)
        self.won = WonSticks.ever
        return said

    ever = False

    def act(self, text: str) -> tuple[str, float, bool]:
        answer = super().act(text)
        WonSticks.ever = bool(self.won)
        return answer


class ResetsItself(Sound):
    def act(self, text: str) -> tuple[str, float, bool]:
        answer = super().act(text)
        if answer[2]:
            self.start(np.random.default_rng(0))
            self.won = True
        return answer


class LosingExpert(Sound):
    def expert_action(self) -> str:
        return "wait"


class MeddlingExpert(Sound):
    def expert_action(self) -> str:
        action = super().expert_action()
        self.act(action)
        self.won = False
        return "wait" if self.place in (0, 4) else action


class ShallowSnapshot(Sound):
    def start(self, rng: np.random.Generator) -> str:
        said = super().start(rng)
        self.seen = [2]
        return said

    def act(self, text: str) -> tuple[str, float, bool]:
        said, reward, done = super().act(text)
        if self.valid:
            self.seen.append(self.place)
        return f"{said} You have seen {self.seen}.", reward, done

    def snapshot(self) -> Any:
        return (*super().snapshot(), self.seen)

    def restore(self, snapshot: Any) -> None:
        *others, self.seen = snapshot
        super().restore(others)


class StaysWon(Sound):
    """From a snapshot of an episode that was won afterwards it goes on as won."""

    def act(self, text: str) -> tuple[str, float, bool]:
        before = self.won
        observation, reward, done = super().act(text)
        self.won = self.won or bool(before)
        return observation, reward, done

    def restore(self, snapshot: Any) -> None:
        self.place, self.coin, self.valid, _ = snapshot


class ForgetfulCopy(Sound):
    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "place": 2}

    def act(self, text: str) -> tuple[str, float, bool]:
        said, reward, done = super().act(text)
        return f"{said} {self.place}", reward, done


class OtherGame(Sound):
    games = ["east", "west"]

    def start(self, rng: np.random.Generator, game: str | None = None) -> str:
        return super().start(rng)

    def info(self) -> dict[str, Any]:
        return super().info() | {"game": "east"}


class Leaks(Sound):
    def start(self, rng: np.random.Generator) -> str:
        leak = mmap.mmap(-1, 1 << 18)  # pages of its own: others might come from what this process has freed before
        leak.write(os.urandom(1 << 18))
        vars(self).setdefault("kept", []).append(leak)
        return super().start(rng)

    def __deepcopy__(self, memo: Any) -> Any:
        raise TypeError


class LeavesOpen(Sound):
    def start(self, rng: np.random.Generator) -> str:
        vars(self).setdefault("kept", []).append(os.open(os.devnull, os.O_RDONLY))
        return super().start(rng)


class LeavesThreads(Sound):
    def start(self, rng: np.random.Generator) -> str:
        threading.Thread(target=STOP.wait, daemon=True).start()
        return super().start(rng)


class Coloured(Sound):
    def act(self, text: str) -> tuple[str, float, bool]:
        said, reward, done = super().act(text)
        return f"\x1b[31m{said}\x1b[0m", reward, done


class ColouredType(Sound):
    def info(self) -> dict[str, Any]:
        return super().info() | {"task_type": "\x1b[31mcoins"}


class Huge(Sound):
    def act(self, text: str) -> tuple[str, float, bool]:
        said, reward, done = super().act(text)
        return said * 4_000, reward, done


class Plain(gym.Env[str, str]):
    """No TextEnv: gymnasium's Text spaces."""

    observation_space: gym.Space[str] = gym.spaces.Text(max_length=40)
    action_space: gym.Space[str] = gym.spaces.Text(max_length=40)
    max_steps = 5

    def reset(self, *, seed: int | None = None, options: Any = None) -> tuple[str, dict[str, Any]]:
        super().reset(seed=seed)
        self.number = int(self.np_random.integers(3))
        return "ZeroOneTwo", {"admissible_commands": ["0", "1", "2"]}

    def step(self, action: str) -> tuple[str, float, bool, bool, dict[str, Any]]:
        right = action == str(self.number)
        return "right" if right else "wrong", float(right), right, False, {"admissible_commands": ["0", "1", "2"]}


class PlainFour(Plain):
    def step(self, action: str) -> Any:
        return super().step(action)[:4]


if "broken/Plain-v0" not in gym.registry:
    gym.register("broken/Plain-v0", entry_point=Plain, max_episode_steps=5)
