"""Which ALFWorld game an episode is that somebody recorded: by the path it names, else by what it begins with.

A path is of its authors' machine; its last two folders, task and trial, name the game wherever the data lies. Without
one, games of the same task sentence are looked at, then their first observations, then what the recorded actions bring
about in them: the one game in which all is as it was recorded. Of several that are left none is taken, and all are
named.

Where the source does not say whether the episode was won, its actions are played.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from oreo.envs.alfworld.data.games import LAYOUT, Entry, find_data, load_game, split_entries, splits
from oreo.envs.alfworld.dialects import in_dialect
from oreo.envs.alfworld.engines.engine import REFUSED
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.errors import UnknownExpression, UnknownGameLogic
from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.envs.alfworld.generation.generator import game_by_name, is_generated
from oreo.envs.matching import Recognize
from oreo.errors import DataError, OreoError
from oreo.matching import Matched
from oreo.trajectory import Trajectory

_PATH = re.compile(rf"(?:({LAYOUT}/\w+/))?((?:{'|'.join(TASK_TYPES)})-[^/\\]+)[/\\]+(trial_\w+)")
"""LAYOUT/SPLIT/, TASK, TRIAL."""
_TASK = re.compile(r"Your task is to: *(.*?)\.?\s*$", re.MULTILINE)
_BEGINNING = re.compile(r"You are in the middle of a room\..*?(?=\s*Your task is to:)", re.DOTALL)
_ARRIVAL = re.compile(r"^You arrive at [a-z]+ \d+\. ")
_PUT, _MOVE = re.compile(r"put .+ in/on .+"), re.compile(r"move .+ to .+")
_GAMES_HELD = 512


def matcher(data: str | os.PathLike[str] | None = None) -> Recognize:
    """A function that finds the game of an episode, and gives None for one that is not ALFWorld's.

    Args:
        data: the folder of games, or a pack; None: the default one. Without any, what the episode itself says is kept.

    Raises:
        DataError: `data` was given and is not there.
    """
    place = find_data(data) if data is not None else _default_data()
    games = _Games(place)

    def recognize(trajectory: Trajectory, outcome_known: bool) -> Matched | None:
        begins = trajectory.steps[0].observation if trajectory.steps else trajectory.final_observation
        path = _PATH.search(trajectory.game)
        if not (path or is_generated(trajectory.game) or _BEGINNING.search(begins)):
            return None
        sentence = _TASK.search(begins)
        read = replace(
            trajectory,
            task=sentence[1] if sentence else trajectory.task,
            task_type=next((kind for kind in TASK_TYPES if path and path[2].startswith(f"{kind}-")), ""),
            dialect=_dialect(trajectory) or trajectory.dialect,
        )
        fitting = games.fitting(read, f"{path[2]}/{path[3]}" if path else "")
        if len(fitting) != 1:
            named = f"{path[1] or ''}{path[2]}/{path[3]}/game.tw-pddl" if path and not fitting else ""
            why = f"{len(fitting)} games fit" if fitting else games.why_none(bool(path))
            return Matched(replace(read, game=named), outcome_known, False, why, tuple(fitting))
        return games.told(read, fitting[0], outcome_known)

    return recognize


def _default_data() -> Path | None:
    try:
        return find_data()
    except DataError:
        return None


def _dialect(trajectory: Trajectory) -> str:
    """The dialect that an episode's accepted actions are in; empty where none of them says."""
    answers = [step.observation for step in trajectory.steps[1:]] + [trajectory.final_observation]
    for step, answer in zip(trajectory.steps, answers, strict=True):
        if step.action_valid is False or answer.startswith(REFUSED):
            continue  # agents say what they have read elsewhere
        if _PUT.fullmatch(step.action):
            return "put"
        if _MOVE.fullmatch(step.action):
            return "move"
    return ""


class _Games:
    """The games of a data folder or a pack, looked at as far as episodes ask for them."""

    def __init__(self, data: Path | None) -> None:
        self._data = data
        self._by_path: dict[str, Entry] | None = None
        self._by_task: dict[str, list[str]] | None = None
        self._load = lru_cache(_GAMES_HELD)(self._read)
        self._beginnings: dict[str, str] = {}
        """First observations by game: the room."""

    def fitting(self, trajectory: Trajectory, path: str) -> list[str]:
        """Names of the games that an episode may be of."""
        if is_generated(trajectory.game):
            return [trajectory.game]
        if path:
            entry = self._entries().get(path)
            return [] if entry is None else [entry.name]
        if self._data is None or not trajectory.steps:
            return []
        begins = trajectory.steps[0].observation
        fitting = [name for name in self._with_task(trajectory.task) if self._beginning(name) == _room(begins)]
        if len(fitting) > 1:
            fitting = [name for name in fitting if self._played(name, trajectory)[0]] or fitting
        return fitting

    def told(self, trajectory: Trajectory, name: str, outcome_known: bool) -> Matched:
        """The episode with what its game says of it."""
        game = self._load(name)
        won = trajectory.won
        if not outcome_known:
            same, won = self._played(name, trajectory)
            outcome_known = same or won  # of what went another way than was recorded, nothing but a win is sure
        parts = name.split("/")
        kwargs = trajectory.env_kwargs or {"split": parts[0] if is_generated(name) else parts[-4]}
        told = replace(
            trajectory,
            env_kwargs=kwargs,
            game=name,
            task=game.task,
            task_type=game.task_type,
            dialect=trajectory.dialect or game.dialect,
            won=won,
        )
        return Matched(told, outcome_known, found=True)

    def why_none(self, by_path: bool) -> str:
        """Why no game fits."""
        if self._data is None:
            return "there are no games here to look among: give --data, or set ALFWORLD_DATA"
        return f"{self._data} has no game {'of that name' if by_path else 'that begins so'}"

    def _entries(self) -> dict[str, Entry]:
        if self._by_path is None:
            self._by_path = {}
            data = self._data
            for entry in () if data is None else (e for split in splits(data) for e in split_entries(data, split)):
                self._by_path.setdefault("/".join(entry.name.split("/")[-3:-1]), entry)
        return self._by_path

    def _with_task(self, task: str) -> Iterable[str]:
        if self._by_task is None:
            self._by_task = {}
            for entry in self._entries().values():
                self._by_task.setdefault(_plain(self._read(entry.name).task), []).append(entry.name)
        return self._by_task.get(_plain(task), ())

    def _beginning(self, name: str) -> str:
        if name not in self._beginnings:
            try:
                self._beginnings[name] = _room(Simulator().reset(self._load(name)))
            except (UnknownGameLogic, UnknownExpression):
                self._beginnings[name] = ""
        return self._beginnings[name]

    def _read(self, name: str) -> Game:
        if is_generated(name):
            return game_by_name(name)
        assert self._data is not None, "names come from the data"
        return load_game(self._data, name)

    def _played(self, name: str, trajectory: Trajectory) -> tuple[bool, bool]:
        """Whether all that an episode saw is what its actions bring about in a game, and whether they win it."""
        simulator = Simulator()
        try:
            game = in_dialect(self._load(name), trajectory.dialect) if trajectory.dialect else self._load(name)
            simulator.reset(game)
            same = True
            seen = [step.observation for step in trajectory.steps[1:]] + [trajectory.final_observation]
            for number, (step, recorded) in enumerate(zip(trajectory.steps, seen, strict=True), 1):
                reply = simulator.step(step.action)
                if recorded or number < len(seen):  # what came after the last action is not recorded everywhere
                    same = same and _plain(_ARRIVAL.sub("", reply)) == _plain(_ARRIVAL.sub("", recorded))
                if simulator.won:
                    break
        except OreoError:
            return False, False
        return same, simulator.won


def _plain(text: str) -> str:
    return " ".join(text.split()).strip(" .").lower()


def _room(observation: str) -> str:
    match = _BEGINNING.search(observation)
    return _plain(match[0]) if match else ""
