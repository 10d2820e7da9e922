"""Z-machine games that Jericho knows (`jericho:PATH`; Hausknecht et al., arXiv 1909.05398).

Jericho's interpreter plays in a process of its own (foreign.py). Games are the user's to bring; one that Jericho does
not know is played without score, commands and winning.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from oreo.envs.foreign import ForeignGame, serve_game
from oreo.envs.text_env import TextEnv
from oreo.errors import UsageError, did_you_mean

_INSTALL = "pip install 'oreo-agents[jericho]'"


class JerichoEnv(TextEnv):
    """Z-machine games: a file (.z1 to .z8), or a folder of them.

        oreo.envs.make("jericho:games/zork1.z5")

    The reward of a step is the change of the score; an episode is won at the full score or where the game says so. The
    expert follows the game's walkthrough, where Jericho has one, as long as the episode does.

    Args:
        game: a game file or a folder of them.
        commands: whether to list the valid actions, which Jericho finds by trying them out: slow, and exact.
    Raises:
        MissingExtra: the library is not installed.
        UsageError: no such game.
    """

    max_steps = 200

    def __init__(self, game: str, commands: bool = True, render_mode: str | None = None) -> None:
        super().__init__(render_mode)
        place = Path(game).expanduser()
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        playable = [file for file in files if file.suffix[:2] == ".z" and file.suffix[2:] in tuple("12345678")]
        if not place.exists():
            raise UsageError(f"{game}: there is no such game file or folder (looked in {Path.cwd()})")
        if not playable:
            raise UsageError(f"{game}: expected a z-machine game, which ends in .z1 to .z8")
        self._files = {file.stem: file for file in playable}
        self.games = list(self._files)
        self._commands = commands
        self._game = ForeignGame("Jericho", "oreo.envs.jericho:main", _INSTALL)
        self._name, self._state = "", dict[str, Any]()
        self._on_path = 0
        self._valid: bool | None = None

    def start(self, rng: np.random.Generator, game: str | None = None) -> str:  # type: ignore[override]
        drawn, seed = self.games[int(rng.integers(len(self.games)))], int(rng.integers(1, 2**15))
        self._name = drawn if game is None else game
        if self._name not in self._files:
            raise UsageError(f"no game {game!r}: {did_you_mean(str(game), self.games[:20])}")
        self._state = {}
        file = str(self._files[self._name])
        self._state = self._game.ask("reset", file=file, seed=seed, commands=self._commands)
        self._on_path, self._valid = 0, None
        return str(self._state["text"])

    def act(self, text: str) -> tuple[str, float, bool]:
        before = self._now()
        command = " ".join(text.split()) or "wait"
        path = before["walkthrough"]
        if 0 <= self._on_path < len(path):
            self._on_path = self._on_path + 1 if command == path[self._on_path] else -1
        self._valid = True if command in (before["commands"] or ()) else None
        self._state = before | self._game.ask("step", command=command)
        self.won = self._state["won"]
        return self._state["text"], float(self._state["score"] - before["score"]), self._state["done"] or bool(self.won)

    def info(self) -> dict[str, Any]:
        now = self._now()
        known = {"game": self._name, "action_valid": self._valid}
        return known | ({"admissible_commands": now["commands"]} if now["commands"] else {})

    def expert_action(self) -> str:
        """The next command of the game's walkthrough."""
        path = self._now()["walkthrough"]
        if not 0 <= self._on_path < len(path):
            told = "the episode has left the walkthrough" if path else "Jericho knows no walkthrough"
            raise UsageError(f"{self._name}: {told}, so there is no expert; choose another agent")
        return str(path[self._on_path])

    def snapshot(self) -> Any:
        """The episode as it stands. It is good until the next reset."""
        kept = (self._now(), self._on_path, self._valid, self._text, self.won)
        return self._name, self._game.ask("snapshot")["number"], kept

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot of this episode."""
        name, number, kept = snapshot
        if name != self._name or not self._state:
            raise UsageError(f"this snapshot is of an earlier episode ({name}): restore works within one")
        self._game.ask("restore", number=number)
        self._state, self._on_path, self._valid, self._text, self.won = kept

    def close(self) -> None:
        self._game.close()
        self._state = {}

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_state": {}}  # the process plays the original; a copy wants a reset

    def _now(self) -> dict[str, Any]:
        if not self._state:
            raise UsageError("no game is in progress: call reset() first")
        return self._state


# In the process.


def main() -> None:
    """What the process does."""

    def prepare() -> None:
        import jericho  # noqa: F401

    serve_game(prepare, _Player)


class _Player:
    def __init__(self) -> None:
        self.env: Any = None
        self.known = False
        self.commands = False
        self.snapshots: list[Any] = []

    def reset(self, file: str, seed: int, commands: bool) -> dict[str, Any]:
        import jericho

        if self.env is not None:
            self.env.close()
        self.snapshots, self.commands = [], commands
        self.env = jericho.FrotzEnv(file, seed=seed)
        self.known = bool(self.env.is_fully_supported)
        text, _ = self.env.reset()
        try:
            walkthrough = list(self.env.get_walkthrough()) if self.known else []
        except Exception:  # Jericho has none for every game that it knows
            walkthrough = []
        return {"walkthrough": walkthrough} | self._state(text, False)

    def step(self, command: str) -> dict[str, Any]:
        text, _, done, _ = self.env.step(command)
        return self._state(text, done)

    def snapshot(self) -> dict[str, Any]:
        self.snapshots.append(self.env.get_state())
        return {"number": len(self.snapshots) - 1}

    def restore(self, number: int) -> dict[str, Any]:
        self.env.set_state(self.snapshots[number])
        return {}

    def _state(self, text: str, done: bool) -> dict[str, Any]:
        said = text.rpartition("\n>")[0] if "\n>" in text else text
        state: dict[str, Any] = {"text": said.strip(), "score": 0, "won": None, "done": bool(done), "commands": None}
        if self.known:
            full = self.env.get_max_score()
            score = self.env.get_score()
            state |= {"score": score, "won": bool(self.env.victory()) or (full > 0 and score >= full)}
            if self.commands and not done:
                state["commands"] = sorted(set(self.env.get_valid_actions()))
        return state
