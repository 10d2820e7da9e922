"""TextWorld's games (`textworld:PATH`): files, folders of files, and games that `tw-make` makes on the spot.

The library plays in a process of its own (foreign.py). A game's own text is compiled by the library's Inform compiler
and interpreted as z-code; nothing of it is run as Python.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from oreo.envs.foreign import ForeignGame, serve_game
from oreo.envs.text_env import TextEnv
from oreo.errors import DataError, EngineError, UsageError, did_you_mean

PLAYED = (".z8", ".z5", ".z6", ".z7", ".z3", ".z4")
"""Endings of what the library plays as it is. A .ulx is made anew from the .json beside it."""
CHALLENGES = ("custom", "tw-simple", "tw-cooking", "tw-coin_collector", "tw-treasure_hunter")
_RESETS_A_PROCESS = 40
"""The library keeps a megabyte of each reset (TextWorld 1.7), so its process is replaced now and then."""
_LONGEST_MAKING = 300.0
"""Seconds for one game to be made: several on an idle machine."""
_INSTALL = "pip install 'textworld>=1.7'"


class TextWorldEnv(TextEnv):
    """TextWorld games: a file, a folder of them, or made on the spot by tw-make.

        oreo.envs.make("textworld:games/kitchen.z8")
        oreo.envs.make("textworld:games")
        oreo.envs.make("textworld:tw-simple", rewards="dense", goal="detailed", count=20)

    The reward of a step is the change of the game's score; an episode is won where the game says so. The expert says
    what the library's winning policy says, which games have that were made with a walkthrough.

    Args:
        game: a game file (.z8, or .ulx with its .json, which is compiled anew), a folder, or a kind of game that
            tw-make makes: custom, tw-simple, tw-cooking, tw-coin_collector, tw-treasure_hunter.
        count: how many games are made, by the seeds `first_seed`, `first_seed` + 1, …
        first_seed: of the first game made.
        options: options of tw-make, such as rewards="dense", goal="detailed", level=5, world_size=3; True for those
            that take no value.
    Raises:
        UsageError: no such game, or options where nothing is made.
    """

    max_steps = 100

    def __init__(
        self, game: str, count: int = 10, first_seed: int = 0, render_mode: str | None = None, **options: Any
    ) -> None:
        super().__init__(render_mode)
        place = Path(game).expanduser()
        self._files: dict[str, Path] = {}
        self._options = [game, *_command_line(options)]
        self._made = False
        if place.is_dir():
            self._files = {file.stem: file for file in _game_files(place)}
            if not self._files:
                raise UsageError(f"{place}: no game in it (looked for {', '.join(PLAYED)} and .ulx with its .json)")
        elif place.exists():
            _check_playable(place)
            self._files = {place.stem: place}
        elif place.suffix or len(place.parts) > 1:
            raise UsageError(f"{game}: there is no such game file or folder (looked in {Path.cwd()})")
        elif game not in CHALLENGES:
            raise UsageError(f"no file, folder or kind of game {game!r}: {did_you_mean(game, CHALLENGES)}")
        else:
            self._made = True
        if self._files and options:
            raise UsageError(f"{', '.join(options)}: for games that are made, and {game} is one already")
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UsageError(f"count={count!r}: expected how many games are made, 1 or more")
        seeds = range(first_seed, first_seed + count)
        self.games = sorted(self._files) or [f"{game}-{seed}" for seed in seeds]
        """Names of the games: of the files, or of what is made with the seed at the end."""
        self._game = ForeignGame("TextWorld", "oreo.envs.textworld:main", _INSTALL)
        self._name, self._resets = "", 0
        self._state: dict[str, Any] | None = None
        self._valid: bool | None = None

    def start(self, rng: np.random.Generator, game: str | None = None) -> str:  # type: ignore[override]
        drawn = self.games[int(rng.integers(len(self.games)))]
        self._name = drawn if game is None else game
        file = self._file(self._name)
        self._state, self._valid = None, None
        self._resets += 1
        if self._resets % _RESETS_A_PROCESS == 0:
            self._game.close()
        self._state = self._game.ask("reset", file=str(file))
        return str(self._state["text"])

    def act(self, text: str) -> tuple[str, float, bool]:
        before = self._now()
        self._valid = True if text.strip() in (before["commands"] or ()) else None  # it has other words for some
        self._state = self._game.ask("step", command=text)
        self.won = self._state["won"]
        return self._state["text"], float(self._state["score"] - before["score"]), bool(self._state["done"])

    def info(self) -> dict[str, Any]:
        now = self._now()
        known = {"task": now["objective"], "game": self._name, "action_valid": self._valid}
        return known | ({} if now["commands"] is None else {"admissible_commands": now["commands"]})

    def expert_action(self) -> str:
        """The next command of a walkthrough from here."""
        if not (policy := self._now()["policy"]):
            raise UsageError(f"{self._name} has no walkthrough, so there is no expert of it; choose another agent")
        return str(policy[0])

    def snapshot(self) -> Any:
        """The episode as it stands. It is good until the next reset."""
        return self._name, self._game.ask("snapshot")["number"], self._now(), self._valid, self._text, self.won

    def restore(self, snapshot: Any) -> None:
        """Go back to a snapshot of this episode."""
        name, number, state, valid, text, won = snapshot
        if name != self._name or self._state is None:
            raise UsageError(f"this snapshot is of an earlier episode ({name}): restore works within one")
        self._game.ask("restore", number=number)
        self._state, self._valid, self._text, self.won = state, valid, text, won

    def close(self) -> None:
        self._game.close()
        self._state = None

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_state": None}  # the process plays the original; a copy wants a reset

    def _now(self) -> dict[str, Any]:
        if self._state is None:
            raise UsageError("no game is in progress: call reset() first")
        return self._state

    def _file(self, name: str) -> Path:
        """The file that a game is played from; made, or made anew, where there is none yet."""
        if self._made:
            kind, _, seed = name.rpartition("-")
            if kind != self._options[0] or not seed.isdecimal():
                raise UsageError(f"no game {name!r}: expected {self._options[0]}-SEED, such as {self.games[0]}")
            return _made(self._options, int(seed))
        if name not in self._files:
            raise UsageError(f"no game {name!r}: {did_you_mean(name, self.games[:20])}")
        file = self._files[name]
        return file if file.suffix in PLAYED else self._compiled(file)

    def _compiled(self, file: Path) -> Path:
        source = file.with_suffix(".json")
        try:
            content = source.read_bytes()
        except OSError as error:
            raise DataError(f"{source} cannot be read ({error.strerror}), and {file.name} is made from it") from None
        target = _cache() / f"{hashlib.sha256(content).hexdigest()[:16]}.z8"
        if not target.exists():
            with _whole(target) as unfinished:
                self._game.ask("compile", source=str(source), target=str(unfinished))
        return target


def _check_playable(file: Path) -> None:
    if file.suffix in PLAYED:
        return
    if file.suffix == ".ulx" and file.with_suffix(".json").exists():
        return
    if file.suffix == ".ulx":
        raise UsageError(
            f"{file}: TextWorld 1.7 plays no .ulx, and {file.stem}.json, from which it could be made anew, is not "
            "beside it"
        )
    if file.suffix == ".json" and file.with_suffix(".z8").exists():
        raise UsageError(f"{file}: name the game beside it, {file.with_suffix('.z8').name}")
    raise UsageError(f"{file}: expected a game, which ends in {', '.join(PLAYED)} or .ulx")


def _game_files(folder: Path) -> list[Path]:
    playable = [file for file in folder.iterdir() if file.suffix in PLAYED]
    names = {file.stem for file in playable}
    made_anew = [file for file in folder.glob("*.ulx") if file.with_suffix(".json").exists()]
    return sorted(playable + [file for file in made_anew if file.stem not in names])


def _command_line(options: dict[str, Any]) -> list[str]:
    """Options of tw-make as it takes them."""
    written: list[str] = []
    for name, value in sorted(options.items()):
        if name in ("output", "seed", "third_party", "force", "format", "silent", "verbose", "overview"):
            raise UsageError(f"{name}: not for games that are made here; see count and first_seed")
        if value is False:
            continue
        written += [f"--{name.replace('_', '-')}"] + ([] if value is True else [str(value)])
    return written


def _made(options: Sequence[str], seed: int) -> Path:
    """The game of a seed, made at the first time by the library's own command and kept in the user's cache."""
    import textworld.version

    key = hashlib.sha256(json.dumps([textworld.version.__version__, *options, seed]).encode()).hexdigest()[:16]
    target = _cache() / f"{options[0]}-{seed}-{key}.z8"
    if target.exists() and target.with_suffix(".json").exists():
        return target
    command = shutil.which("tw-make", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if command is None:
        raise EngineError(f"tw-make, which comes with TextWorld, is not there: {_INSTALL}")
    with _whole(target) as unfinished:
        line = [sys.executable, command, *options, "--seed", str(seed), "--output", str(unfinished), "--silent"]
        try:
            done = subprocess.run(
                line,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LONGEST_MAKING,
                env=os.environ | {"PYTHONHASHSEED": "0"},
            )
        except subprocess.TimeoutExpired:
            raise EngineError(f"tw-make {' '.join(options)} took longer than {_LONGEST_MAKING:g} s") from None
        if done.returncode or not unfinished.exists():
            told = done.stderr.decode(errors="replace").strip().splitlines()
            kind = UsageError if done.returncode == 2 else EngineError
            raise kind(f"tw-make {' '.join(options)} --seed {seed}: {told[-1] if told else 'it made no game'}")
    return target


class _whole:
    """A place for a game and its .json, which go to where they belong when both are complete."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __enter__(self) -> Path:
        self.folder = tempfile.TemporaryDirectory(dir=self.target.parent)
        return Path(self.folder.name) / self.target.name

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        with self.folder:
            made = Path(self.folder.name) / self.target.name
            if kind is None:
                os.replace(made.with_suffix(".json"), self.target.with_suffix(".json"))
                os.replace(made, self.target)


def _cache() -> Path:
    """Where made games are kept, a folder of the user's."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    folder = Path(base) / "oreo" / "textworld"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


# In the process.


def main() -> None:
    """What the process does."""

    def prepare() -> None:
        import textworld.generator  # noqa: F401

    serve_game(prepare, _Player)


class _Player:
    """The library's environment of the game in progress, and copies of it."""

    def __init__(self) -> None:
        self.env: Any = None
        self.file = ""
        self.snapshots: list[Any] = []

    def reset(self, file: str) -> dict[str, Any]:
        import textworld

        self.snapshots = []
        if file != self.file:
            if self.env is not None:
                self.env.close()
            wanted = ("admissible_commands", "won", "lost", "score", "max_score", "objective", "policy_commands")
            self.env, self.file = textworld.start(file, textworld.EnvInfos(**dict.fromkeys(wanted, True))), file
        self.env.seed(0)
        return self._state(self.env.reset(), False)

    def step(self, command: str) -> dict[str, Any]:
        state, _, done = self.env.step(" ".join(command.split()) or "wait")
        return self._state(state, done)

    def snapshot(self) -> dict[str, Any]:
        self.snapshots.append(self.env.copy())
        return {"number": len(self.snapshots) - 1}

    def restore(self, number: int) -> dict[str, Any]:
        self.env = self.snapshots[number].copy()
        return {}

    def compile(self, source: str, target: str) -> dict[str, Any]:
        from textworld.generator import Game, GameOptions, compile_game

        options = GameOptions()
        options.path = target
        compile_game(Game.load(source), options)
        return {}

    def _state(self, state: Any, done: bool) -> dict[str, Any]:
        policy = state.get("policy_commands")
        commands = state.get("admissible_commands")
        return {
            "text": without_prompt(state["feedback"] or ""),
            "score": state.get("score") or 0,
            "won": bool(state["won"]) if state.get("won") is not None else None,
            "done": bool(done),
            "commands": None if commands is None else list(commands),
            "policy": list(policy or []),
            "objective": state.get("objective") or "",
        }


def without_prompt(feedback: str) -> str:
    """What a game said, without the line at its end where it waits and shows the room and the number of moves."""
    said, prompt, _ = feedback.rpartition("\n>")
    return (said if prompt else feedback).strip()
