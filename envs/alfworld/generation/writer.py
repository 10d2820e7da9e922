"""Generated games on disk, in the layout that `alfworld-download` leaves and alfworld's AlfredTWEnv reads."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.generation.settings import GeneratorSettings, parse_name
from oreo.errors import DataError, UsageError


def write_game(game: Game, root: str | os.PathLike[str]) -> Path:
    """Write a generated game as alfworld keeps its own: root/json_2.1.1/SPLIT/TASK/TRIAL/{game.tw-pddl,traj_data.json}.

    SPLIT is train, or valid_unseen for held-out games. A game appears as a whole or not at all; one that is there
    already is left as it is. Returns the path of game.tw-pddl. Raises UsageError and DataError.
    """
    settings = parse_name(game.name)
    folder = _checked_root(root)
    word = game.params["parent_target"] or game.params["toggle_target"]
    task = f"{game.task_type}-{game.params['object_target']}-None-{word}-{game.floor_plan.removeprefix('FloorPlan')}"
    trial = folder / "json_2.1.1" / _split(settings) / task / _trial(game.name)
    logic = {"pddl_domain": game.pddl_domain, "grammar": game.grammar}
    content = logic | {"pddl_problem": game.pddl_problem, "solvable": True}
    trajectory = {
        "task_id": trial.name,
        "task_type": game.task_type,
        "pddl_params": game.params,
        "plan": {"high_pddl": [], "low_actions": []},
        "scene": {"floor_plan": game.floor_plan, "scene_num": int(game.floor_plan.removeprefix("FloorPlan"))},
        "turk_annotations": {"anns": []},
    }
    if (trial / "game.tw-pddl").is_file():
        return trial / "game.tw-pddl"
    try:
        trial.parent.mkdir(parents=True, exist_ok=True)
        # Outside the tree until complete: alfworld takes every folder with a traj_data.json in it for a game.
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder) as scratch:
            new = Path(scratch) / "game"
            new.mkdir()
            (new / "traj_data.json").write_text(json.dumps(trajectory), encoding="utf-8")
            (new / "game.tw-pddl").write_text(json.dumps(content), encoding="utf-8")
            try:
                new.rename(trial)
            except OSError:
                if not (trial / "game.tw-pddl").is_file():  # Else another process wrote it meanwhile: the same game.
                    raise
    except OSError as error:
        raise DataError(f"cannot write {trial}: {error.strerror or error}") from error
    return trial / "game.tw-pddl"


def write_logic(root: str | os.PathLike[str], dialect: str) -> None:
    """Write root/logic/{alfred.pddl,alfred.twl2}, to which alfworld's configuration points to."""
    folder = _checked_root(root)
    domain, grammar = package_data.game_logic(dialect)
    try:
        (folder / "logic").mkdir(parents=True, exist_ok=True)
        (folder / "logic" / "alfred.pddl").write_text(domain, encoding="utf-8")
        (folder / "logic" / "alfred.twl2").write_text(grammar, encoding="utf-8")
    except OSError as error:
        raise DataError(f"cannot write {folder / 'logic'}: {error.strerror or error}") from error


def existing(root: str | os.PathLike[str], series: Sequence[GeneratorSettings]) -> dict[str, Path]:
    """Return the games of a series that are below `root` already: name → path of game.tw-pddl."""
    files = {path.parent.name: path for path in _checked_root(root).glob("json_2.1.1/*/*/trial_*/game.tw-pddl")}
    names = {_trial(str(settings)): str(settings) for settings in series}
    return {name: files[trial] for trial, name in names.items() if trial in files}


def _split(settings: GeneratorSettings) -> str:
    return "valid_unseen" if settings.heldout else "train"


def _trial(name: str) -> str:
    """The name as a folder's; a digest for its end where file systems would not take it whole (255 characters)."""
    word = "trial_" + re.sub(r"[^A-Za-z0-9_-]", "_", name)
    return word if len(word) <= 200 else f"{word[:180]}_{hashlib.sha256(name.encode()).hexdigest()[:16]}"


def _checked_root(root: str | os.PathLike[str]) -> Path:
    folder = Path(root).expanduser().absolute()
    for word in ("movable", "Sliced"):
        if word in str(folder):
            raise UsageError(f"{folder}: alfworld skips every game with {word!r} in its path; write to another folder")
    return folder
