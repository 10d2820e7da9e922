"""Where the real games and the recorded episodes lie, and a game of theirs as data."""

from __future__ import annotations

import json
import lzma
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pytest

from oreo.envs.alfworld import package_data
from oreo.envs.alfworld.game import Game

ALL = os.environ.get("OREO_ALL_GAMES", "0") not in ("", "0")
SHARED = Path(os.environ.get("OREO_SHARED") or Path(__file__).resolve().parents[2].parent / "shared") / "data"
GAMES = SHARED / "alfworld"
TRAJECTORIES = SHARED / "trajectories" / "expert_train.jsonl.xz"
needs_games = pytest.mark.skipif(not GAMES.is_dir(), reason=f"no real games at {GAMES} (set OREO_SHARED)")
GSM8K = SHARED / "gsm8k"
needs_gsm8k = pytest.mark.skipif(not GSM8K.is_dir(), reason=f"no GSM8K at {GSM8K} (set OREO_SHARED)")
needs_trajectories = pytest.mark.skipif(
    not TRAJECTORIES.is_file(), reason=f"no recorded episodes at {TRAJECTORIES} (set OREO_SHARED)"
)


def game_of(line: str, dialect: str = "put") -> Game:
    """The game of a JSON line, in either dialect."""
    content = json.loads(line)
    domain, grammar = package_data.game_logic(dialect)
    return Game(
        name=content["gamefile"],
        pddl_domain=domain,
        grammar=grammar.replace("Your task is to: UNKNOWN GOAL.", content["task"]),
        pddl_problem=content["pddl_problem"],
        task_type=content["task_type"],
        params=content["pddl_params"],
        floor_plan=content["floor_plan"],
    )


def lines_of(split: str) -> Iterator[str]:
    """The JSON lines of a split, unread."""
    with lzma.open(GAMES / f"{split}.jsonl.xz", "rt", encoding="utf-8") as lines:
        yield from lines


def real_games(split: str, dialect: str = "put", every: int = 1) -> Iterator[Game]:
    return (game_of(line, dialect) for line in islice(lines_of(split), 0, None, every))


def gsm8k_problems() -> Iterator[dict[str, str]]:
    """`question` and `answer` of the 8,792 problems, train and then test."""
    for split in ("train", "test"):
        with open(GSM8K / f"{split}.jsonl", encoding="utf-8") as lines:
            yield from (json.loads(line) for line in lines)


def unpack(folder: Path, dialect: str, *options: str) -> Path:
    """A folder as alfworld-download leaves it."""
    command = [sys.executable, str(GAMES / "unpack.py"), str(folder), "--dialect", dialect, *options]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return folder
