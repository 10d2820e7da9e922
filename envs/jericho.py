"""Z-machine games that Jericho knows (`jericho:PATH`; Hausknecht et al., arXiv 1909.05398).

Jericho's interpreter plays in a process of its own (foreign.py). Games are the user's to bring; one that Jericho does
not know is played without score, commands and winning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from oreo.envs.foreign import ForeignGame, serve_game
from oreo.envs.foreign_env import RestorableEnv
from oreo.envs.story_files import story_file, story_files, without_prompt
from oreo.errors import UsageError

_LONGEST = 198
"""Bytes of a command that Jericho takes; it cuts longer ones, and fails where that is amid a letter."""
_TAGGER = "en_core_web_sm"
_PLAYED = tuple(f".z{number}" for number in range(1, 9))


class JerichoEnv(RestorableEnv):
    """Z-machine games: a file (.z1 to .z8), or a folder of them.

        oreo.envs.make("jericho:games/zork1.z5", max_steps=400)

    The reward of a step is the change of the score; an episode is won at the full score or where the game says so. The
    expert follows the game's walkthrough, where Jericho has one, as long as the episode does.

    Args:
        game: a game file or a folder of them.
        commands: whether to list the valid actions, which Jericho finds by trying them out: slow, and exact.
        chance: whether dice fall otherwise in each episode. If not, as in the library and in what is published, a
            game's dice are always those that its walkthrough was written for; with others it seldom wins.
    Raises:
        MissingExtra: the library is not installed.
        UsageError: no such game.
    """

    max_steps = 200

    def __init__(self, game: str, commands: bool = True, chance: bool = False, render_mode: str | None = None) -> None:
        process = ForeignGame("Jericho", "oreo.envs.jericho:main", "pip install 'oreo-agents[jericho]'")
        super().__init__(process, render_mode)
        place = Path(game).expanduser()
        self._files = story_files(place, lambda file: file.suffix in _PLAYED, "which ends in .z1 to .z8")
        self.games = list(self._files)
        self._commands, self._chance = commands, chance

    def start(self, rng: np.random.Generator, game: str | None = None) -> str:  # type: ignore[override]
        drawn, seed = self.games[int(rng.integers(len(self.games)))], int(rng.integers(1, 2**15))
        name = drawn if game is None else game
        file = str(story_file(self._files, name))
        return self.begin(name, file=file, seed=seed, chance=self._chance, commands=self._commands)


# In the process.


def main() -> None:
    """What the process does."""

    def prepare() -> None:
        import jericho  # noqa: F401

    serve_game(prepare, _Player)


def _check_tagger() -> None:
    """Jericho reads the names of things with a model that it would download if need be."""
    from spacy.util import is_package

    if not is_package(_TAGGER):
        raise UsageError(
            f"Jericho lists valid actions with spaCy's model {_TAGGER}, which is not installed: python -m spacy "
            f"download {_TAGGER}, or play without lists (--env-arg commands=false)"
        )


class _Player:
    def __init__(self) -> None:
        self.env: Any = None
        self.supported = False
        self.commands = False

    def reset(self, file: str, seed: int, chance: bool, commands: bool) -> dict[str, Any]:
        import jericho

        if self.env is not None:
            self.env.close()
        self.env = jericho.FrotzEnv(file)
        self.supported = bool(self.env.is_fully_supported)
        self.commands = commands and bool(self.env.bindings)  # without its words, no action can be tried out
        if self.commands:
            _check_tagger()
        if chance or "seed" not in self.env.bindings:
            self.env.seed(seed)
        text, _ = self.env.reset()
        try:
            path = list(self.env.get_walkthrough()) if self.supported else []
        except Exception:  # Jericho has none for every game that it knows
            path = []
        return {"path": path} | self._state(text, False)

    def step(self, text: str) -> dict[str, Any]:
        command = " ".join(text.split()) or "wait"
        told, _, done, _ = self.env.step(command.encode()[:_LONGEST].decode(errors="ignore"))
        return self._state(told, bool(done) or bool(self.env._emulator_halted()))

    def save(self) -> Any:
        return self.env.get_state()

    def load(self, saved: Any) -> None:
        self.env.set_state(saved)

    def _state(self, text: str, done: bool) -> dict[str, Any]:
        state: dict[str, Any] = {
            "text": without_prompt(text),
            "score": 0,
            "won": None,
            "done": done,
            "admissible_commands": None,
        }
        if self.supported:
            score, full = self.env.get_score(), self.env.get_max_score()
            won = bool(self.env.victory()) or 0 < full <= score
            state |= {"score": score, "won": won, "done": done or won}
            if self.commands and not state["done"]:
                state["admissible_commands"] = sorted(set(self.env.get_valid_actions())) or None
        return state
