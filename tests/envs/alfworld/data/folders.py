"""Games written into a data folder, each in two small files, for the tests of what reads them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from oreo.envs.alfworld.data import games

TREE = "json_2.1.1"
DOMAIN = "(define (domain alfred))"


def add_game(data: Path, task: str, trial: str = "trial_1", *, split: str = "valid_seen", **changes: Any) -> str:
    """Write a game's two files; a change of None leaves that key out."""
    name = f"{TREE}/{split}/{task}/{trial}/game.tw-pddl"
    folder = (data / name).parent
    folder.mkdir(parents=True)
    task_type = changes.pop("task_type", "pick_and_place_simple")
    floor_plan, thing = changes.pop("floor_plan", "FloorPlan7"), changes.pop("object", "Mug")
    grammar = 'action PutObject { template :: "put {o} in/on {r}"; } "Your task is to: put a mug in desk."'
    game = {"pddl_domain": DOMAIN, "grammar": grammar, "pddl_problem": "(define)", "solvable": True} | changes
    (data / name).write_text(json.dumps({key: value for key, value in game.items() if value is not None}))
    trajectory = {
        "task_type": task_type,
        "pddl_params": {"object_target": thing},
        "scene": {"floor_plan": floor_plan},
        "turk_annotations": {"anns": [{"task_desc": "Mug to desk."}]},
    }
    (folder / "traj_data.json").write_text(json.dumps(trajectory))
    return name


def let_it_settle(data: Path) -> None:
    """Date all folders back: one changed this very moment is not indexed for good."""
    for folder, _, _ in os.walk(data):
        os.utime(folder, (time.time() - 60, time.time() - 60))


def names(data: Path, **kwargs: Any) -> list[str]:
    return [entry.name for entry in games.open_split(data, "valid_seen", **kwargs)]
