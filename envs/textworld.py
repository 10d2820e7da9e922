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
from importlib.metadata import files, version
from pathlib import Path
from typing import Any

import numpy as np

from oreo.envs.foreign import ForeignGame, serve_game
from oreo.envs.foreign_env import RestorableEnv
from oreo.envs.story_files import story_file, story_files, without_prompt
from oreo.errors import DataError, EngineError, UsageError, did_you_mean

PLAYED = (".z8", ".z5", ".z6", ".z7", ".z3", ".z4")
"""Endings of what the library plays as it is. A .ulx is made anew from the .json beside it."""
_EXPECTED = f"which ends in {', '.join(PLAYED)}, or in .ulx with its .json beside it"
CHALLENGES = ("custom", "tw-simple", "tw-cooking", "tw-coin_collector", "tw-treasure_hunter")
_LONGEST_MAKING = 300.0
"""Seconds for one game to be made: several on an idle machine."""
_INSTALL = "pip install 'textworld>=1.7'"


class TextWorldEnv(RestorableEnv):
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
        super().__init__(ForeignGame("TextWorld", "oreo.envs.textworld:main", _INSTALL), render_mode)
        place = Path(game).expanduser()
        self._files: dict[str, Path] = {}
        self._options = [game, *_command_line(options)]
        if place.exists() or place.suffix or len(place.parts) > 1:
            self._files = _game_files(place)
        elif game not in CHALLENGES:
            raise UsageError(f"no file, folder or kind of game {game!r}: {did_you_mean(game, CHALLENGES)}")
        if self._files and options:
            raise UsageError(f"{', '.join(options)}: for games that are made, and {game} is one already")
        if isinstance(count, bool) or not isinstance(count, int) or count < 1:
            raise UsageError(f"count={count!r}: expected how many games are made, 1 or more")
        if isinstance(first_seed, bool) or not isinstance(first_seed, int) or first_seed < 0:
            raise UsageError(f"first_seed={first_seed!r}: expected a whole number, 0 or more")
        seeds = range(first_seed, first_seed + count)
        self.games = list(self._files) or [f"{game}-{seed}" for seed in seeds]
        """Names of the games: of the files, or of what is made with the seed at the end."""

    def start(self, rng: np.random.Generator, game: str | None = None) -> str:  # type: ignore[override]
        drawn = self.games[int(rng.integers(len(self.games)))]
        name = drawn if game is None else game
        return self.begin(name, file=str(self._file(name)))

    def _file(self, name: str) -> Path:
        """The file that a game is played from; made, or made anew, where there is none yet."""
        if not self._files:
            kind, _, seed = name.rpartition("-")
            if kind != self._options[0] or not seed.isdecimal():
                raise UsageError(f"no game {name!r}: expected {self._options[0]}-SEED, such as {self.games[0]}")
            return _made(self._options, int(seed))
        file = story_file(self._files, name)
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
                self._process.ask("compile", source=str(source), target=str(unfinished))
        return target


def _game_files(place: Path) -> dict[str, Path]:
    """A game, or those of a folder, by their names. A .ulx whose game is there as z-code, too, is passed over."""
    if place.is_dir():
        as_z_code = {file.stem for file in place.iterdir() if file.suffix in PLAYED}
        return story_files(
            place, lambda file: _playable(file) and (file.suffix != ".ulx" or file.stem not in as_z_code), _EXPECTED
        )
    if place.suffix == ".ulx" and place.exists() and not _playable(place):
        raise UsageError(
            f"{place}: TextWorld 1.7 plays no .ulx, and {place.stem}.json, from which it could be made anew, is not "
            "beside it"
        )
    if place.suffix == ".json" and place.with_suffix(".z8").exists():
        raise UsageError(f"{place}: name the game beside it, {place.with_suffix('.z8').name}")
    return story_files(place, _playable, _EXPECTED)


def _playable(file: Path) -> bool:
    return file.suffix in PLAYED or (file.suffix == ".ulx" and file.with_suffix(".json").exists())


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
    # Not by importing the library here: that draws from numpy's global generator.
    key = hashlib.sha256(json.dumps([version("textworld"), *options, seed]).encode()).hexdigest()[:16]
    target = _cache() / f"{options[0]}-{seed}-{key}.z8"
    if target.exists() and target.with_suffix(".json").exists():
        return target
    command = _tw_make()
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
            what = f"tw-make {' '.join(options)} --seed {seed}: {told[-1] if told else 'it made no game'}"
            if done.returncode == 2:
                raise UsageError(f"{what}; its options are arguments, such as --env-arg rewards=dense")
            raise EngineError(what)
    return target


def _tw_make() -> str:
    """The library's command: what was installed with it, wherever that is."""
    installed = [str(file.locate()) for file in files("textworld") or () if file.name == "tw-make"]
    command = next((file for file in installed if Path(file).exists()), shutil.which("tw-make"))
    if command is None:
        raise EngineError(f"tw-make, which comes with TextWorld, is not there: {_INSTALL}")
    return command


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
    """The library's environment of the game in progress."""

    def __init__(self) -> None:
        self.env: Any = None
        self.file = ""

    def reset(self, file: str) -> dict[str, Any]:
        import textworld

        if file != self.file:
            if self.env is not None:
                self.env.close()
            wanted = ("admissible_commands", "won", "lost", "score", "max_score", "objective", "policy_commands")
            self.env, self.file = textworld.start(file, textworld.EnvInfos(**dict.fromkeys(wanted, True))), file
        self.env.seed(0)
        return self._state(self.env.reset(), False)

    def step(self, text: str) -> dict[str, Any]:
        state, _, done = self.env.step(" ".join(text.split()) or "wait")
        return self._state(state, bool(done))

    def save(self) -> Any:
        return self.env.copy()

    def load(self, saved: Any) -> None:
        self.env = saved.copy()

    def compile(self, source: str, target: str) -> dict[str, Any]:
        from textworld.generator import Game, GameOptions, compile_game

        options = GameOptions()
        options.path = target
        compile_game(Game.load(source), options)
        return {}

    def _state(self, state: Any, done: bool) -> dict[str, Any]:
        commands = state.get("admissible_commands")
        return {
            "text": without_prompt(state["feedback"] or ""),
            "score": state.get("score") or 0,
            "won": bool(state["won"]) if state.get("won") is not None else None,
            "done": done,
            "task": state.get("objective") or "",
            "admissible_commands": None if commands is None else list(commands),
            "path": list(state.get("policy_commands") or []),
        }
