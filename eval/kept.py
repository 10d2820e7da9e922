"""Episodes that benchmarks keep: a folder belongs to one set of settings, what is there is not played again.

An episode's seed tells which one it is (oreo.rollouts.seeds), so a folder may be filled in any order, by any number of
calls. Not here: what is played, and what is made of it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

from oreo.errors import DataError, UsageError
from oreo.trajectory import Trajectory

if TYPE_CHECKING:
    from oreo.agents.agent import Agent


def claim(folder: Path, name: str, settings: dict[str, Any]) -> None:
    """One folder for one set of settings: refuse another's, and remember in `name`.json what this one is.

    Raises:
        UsageError: the folder holds something else.
        DataError: what it remembers cannot be read.
    """
    marker = folder / f"{name}.json"
    if marker.is_file():
        before = read_json(marker)
        if before != settings:
            differing = [key for key in settings if before.get(key) != settings[key]]
            other = ", ".join(f"{key} {before.get(key)}, not {settings[key]}" for key in differing)
            raise UsageError(f"{folder} holds other episodes ({other}); give another --into")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not empty and holds no episodes of this benchmark; give another --into")
    write_json(marker, settings)


def stored(folder: Path, *, seed: int, episodes: int) -> dict[int, Trajectory]:
    """Those of the first `episodes` of a seed that are there, by index."""
    from oreo.buffer import TrajectoryBuffer
    from oreo.rollouts import seeds

    found = {each.seed: each for each in TrajectoryBuffer(folder)} if folder.is_dir() else {}
    by_index = {index: seeds(seed, index)[0] for index in range(episodes)}
    return {index: found[each] for index, each in by_index.items() if each in found}


def play_into(
    folder: Path, env: str, agent: Agent, indices: Iterable[int], *, on_episode: Callable[[Trajectory], Any], **how: Any
) -> None:
    """Play these episodes; each is kept as it ends. `how`: further arguments of `oreo.rollouts.play`."""
    from oreo.buffer import TrajectoryBuffer
    from oreo.rollouts import play

    playing = play(env, agent=agent, indices=indices, **how)
    with TrajectoryBuffer(folder) as buffer, closing(playing) as played:
        for _, episode in played:
            buffer.append(episode)
            on_episode(episode)


def read_json(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text())
    except ValueError:
        raise DataError(f"{path} is damaged; delete it, or give another --into") from None


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")  # another process may play other rows
    temporary.write_text(json.dumps(value, indent=2) + "\n")
    os.replace(temporary, path)
