"""TextArena's games for one player (`textarena:ID`): the game speaks as "[GAME] …", actions stand in brackets.

The library plays in a process of its own (foreign.py): it draws from Python's global generator, which it seeds.
"""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np

from oreo.envs.foreign import ForeignGame, serve_game
from oreo.envs.foreign_env import RestorableEnv
from oreo.errors import UsageError, did_you_mean


class TextArenaEnv(RestorableEnv):
    """TextArena's single-player games, such as GuessTheNumber-v0 or TowerOfHanoi-v0.

        oreo.envs.make("textarena:GuessTheNumber-v0")

    The reward comes at the end and is the library's, which is 1 for a full win and a share of it for less; an episode
    is won with a reward of 1. TextArena lists no commands and has no expert. Some games want word lists that the
    library downloads when they are first played.

    Args:
        id: as the library has it.
        settings: arguments of the game, such as min_number=1.
    Raises:
        MissingExtra: the library is not installed.
        UsageError: no such game, or one for several players.
    """

    max_steps = 100

    def __init__(self, id: str, render_mode: str | None = None, **settings: Any) -> None:
        process = ForeignGame("TextArena", "oreo.envs.textarena:main", "pip install 'oreo-agents[textarena]'")
        super().__init__(process, render_mode)
        self._id, self._settings = id, settings

    def start(self, rng: np.random.Generator) -> str:  # type: ignore[override]
        return self.begin("", id=self._id, settings=self._settings, seed=int(rng.integers(2**31)))

    def info(self) -> dict[str, Any]:
        return super().info() | {"task_type": self._id}


# In the process.


def main() -> None:
    """What the process does."""

    def prepare() -> None:
        import textarena  # noqa: F401

    serve_game(prepare, _Player)


class _Player:
    def __init__(self) -> None:
        self.env: Any = None
        self.seen = ""

    def reset(self, id: str, settings: dict[str, Any], seed: int) -> dict[str, Any]:
        import textarena
        from textarena.envs.registration import ENV_REGISTRY

        if id not in ENV_REGISTRY:
            names = [name for name in ENV_REGISTRY if name.count("-") == 1]
            hint = did_you_mean(id, names).rpartition("(")[2] if id not in names else ""
            near = f" ({hint}" if hint.startswith("did you mean") else ""
            raise UsageError(f"TextArena has no game {id!r}{near}; its registry lists {len(names)}")
        self.env = textarena.make(id, **settings)
        try:
            self.env.reset(num_players=1, seed=seed)
        except (AssertionError, ValueError) as error:
            raise UsageError(f"{id} is no game for one player: {' '.join(str(error).split())}") from error
        self.seen = ""
        return self._goes_on()

    def step(self, text: str) -> dict[str, Any]:
        done, _ = self.env.step(text)
        if not done:
            return self._goes_on()
        rewards, closing = self.env.close()
        reason = (closing or {}).get(0, {}).get("reason", "") if isinstance(closing, dict) else ""
        reward = (rewards or {}).get(0, 0.0)
        if not isinstance(reward, int | float):  # some games of 0.7 mix up what they report
            raise TypeError(f"the game's reward is {reward!r}, which is no number")
        return {"text": reason or "The game is over.", "score": float(reward), "done": True, "won": reward >= 1}

    def save(self) -> Any:
        return copy.deepcopy(self.env), self.seen, random.getstate()

    def load(self, saved: Any) -> None:
        env, self.seen, generator = saved
        self.env = copy.deepcopy(env)
        random.setstate(generator)

    def _goes_on(self) -> dict[str, Any]:
        return {"text": self._observed(), "score": 0.0, "done": False, "won": False}

    def _observed(self) -> str:
        """What is new: the library tells all that was said so far, each time."""
        _, observation = self.env.get_observation()
        text = observation if isinstance(observation, str) else "\n".join(str(part[1]) for part in observation)
        new = text[len(self.seen) :] if self.seen and text.startswith(self.seen) else text
        self.seen = text
        return new.strip()
