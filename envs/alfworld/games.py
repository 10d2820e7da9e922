"""The real games on disk: which there are in a split (from a cached index), and one of them as data.

Layout, as `alfworld-download` leaves it: DATA/json_2.1.1/SPLIT/TASK/TRIAL/{game.tw-pddl,traj_data.json}.
The index is a small JSON file in DATA, or in the user's cache folder where DATA cannot be written. It is good as long
as the split's folder and its task folders (not the trials in them, of which there are thousands) keep their mtimes.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.errors import DataError, UsageError, did_you_mean

SPLITS = ("train", "valid_seen", "valid_unseen")
_LAYOUT = "json_2.1.1"
_GAME_FILE = "game.tw-pddl"
_TRAJECTORY_FILE = "traj_data.json"
_INDEX_VERSION = 1
# A folder changed so recently may change again within the same tick of the file system's clock, unnoticed.
_SETTLED_SECONDS = 2.0
_HOW_TO_GET = "run `alfworld-download` and set ALFWORLD_DATA to its folder, or use split='generated' without data"


@dataclass(frozen=True)
class Entry:
    """What the index knows about a game without opening it."""

    name: str
    task_type: str
    floor_plan: str
    dialect: str


def data_folder(data: str | os.PathLike[str] | None = None) -> Path:
    """The folder that holds the games: `data`, else ALFWORLD_DATA, else where alfworld puts them by default.

    Raises:
        DataError: there is none, or no games are laid out below it.
    """
    said = "data" if data is not None else "ALFWORLD_DATA"
    given = os.fspath(data) if data is not None else os.environ.get("ALFWORLD_DATA", "")
    if given:
        folder = Path(given).expanduser()
        if not folder.is_dir():
            raise DataError(f"{said}: there is no folder {folder}; {_HOW_TO_GET}")
    else:
        folder = Path("~/.cache/alfworld").expanduser()
        if not (folder / _LAYOUT).is_dir():
            raise DataError(f"{said} is not set; {_HOW_TO_GET}")
    if not (folder / _LAYOUT).is_dir():
        raise DataError(f"{said}: {folder} holds no ALFWorld games (no folder {_LAYOUT} in it); {_HOW_TO_GET}")
    return folder


def check_task_types(task_types: str | Sequence[str] | None) -> tuple[str, ...]:
    """Task types as a tuple; None means all of them.

    Raises:
        UsageError: an unknown one, or none at all.
    """
    if task_types is None:
        return TASK_TYPES
    chosen = (task_types,) if isinstance(task_types, str) else tuple(task_types)
    for task_type in chosen:
        if task_type not in TASK_TYPES:
            raise UsageError(f"unknown task type {task_type!r}: {did_you_mean(str(task_type), TASK_TYPES)}")
    if not chosen:
        raise UsageError(f"task_types is empty: {did_you_mean('', TASK_TYPES)}")
    return chosen


def open_split(data: Path, split: str, task_types: Sequence[str] = TASK_TYPES) -> list[Entry]:
    """The playable games of a split, sorted by name: alfworld's selection.

    Dropped are games with a movable receptacle or a sliced object, and those not known to be solvable.
    Args:
        data: what `data_folder` returned.
        split: one of SPLITS.
        task_types: keep only these.
    Raises:
        UsageError: an unknown split.
        DataError: the split is missing or has no such game, or a file in it is malformed.
    """
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}: {did_you_mean(split, SPLITS)}")
    folder = data / _LAYOUT / split
    if not folder.is_dir():
        there = ", ".join(name for name in SPLITS if (data / _LAYOUT / name).is_dir()) or "none"
        raise DataError(f"{folder}: the split {split!r} is not there (found: {there}); {_HOW_TO_GET}")
    entries = _index(data, split)
    if not entries:
        raise DataError(f"{folder}: no playable game in it; {_HOW_TO_GET}")
    kept = [entry for entry in entries if entry.task_type in task_types]
    if not kept:
        raise DataError(f"{folder}: none of its {len(entries)} games is of type {', '.join(task_types)}")
    return kept


def load_game(data: Path, name: str) -> Game:
    """Read one game.

    Args:
        data: what `data_folder` returned.
        name: the path of its game.tw-pddl below `data`, with forward slashes.
    Raises:
        UsageError: no such game below `data`.
        DataError: the game's files are malformed.
    """
    path = data / name
    inside = not os.path.isabs(name) and ".." not in Path(name).parts
    if not inside or path.name != _GAME_FILE or not path.is_file():
        raise UsageError(f"no game {name!r} below {data}: {_nearest(data, name)}")
    return _game(name, path, _read_json(path))


def _game(name: str, path: Path, content: dict[str, Any]) -> Game:
    for key in ("pddl_domain", "grammar", "pddl_problem"):
        if not isinstance(content.get(key), str) or not content[key].strip():
            raise DataError(f"{path}: malformed game, its {key!r} is missing or no text")
    return Game(
        name=name,
        pddl_domain=content["pddl_domain"],
        grammar=content["grammar"],
        pddl_problem=content["pddl_problem"],
        **_facts(path.parent / _TRAJECTORY_FILE),
    )


def _facts(path: Path) -> dict[str, Any]:
    """The fields of a Game that its traj_data.json tells."""
    content = _read_json(path)
    try:
        annotations = content.get("turk_annotations", {}).get("anns", [])
        goals = [annotation["task_desc"] for annotation in annotations if "task_desc" in annotation]
        facts = {
            "task_type": content["task_type"],
            "params": dict(content["pddl_params"]),
            "floor_plan": content["scene"]["floor_plan"],
        }
    except KeyError as error:
        raise DataError(f"{path}: malformed, it has no {error}") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise DataError(f"{path}: malformed ({error})") from error
    for key in ("task_type", "floor_plan"):
        if not isinstance(facts[key], str):
            raise DataError(f"{path}: malformed, its {key} is {facts[key]!r}")
    return facts | {"human_goals": tuple(str(goal) for goal in goals)}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: malformed, expected a JSON object and found {type(content).__name__}")
    return content


def _nearest(data: Path, name: str) -> str:
    """The end of an error message about a name that names no game."""
    for split in SPLITS:
        if f"/{split}/" in f"/{name}" and (data / _LAYOUT / split).is_dir():
            names = [entry.name for entry in _index(data, split)]
            near = difflib.get_close_matches(name, names, n=1)
            if near or names:
                return f"did you mean {(near or names)[0]!r}?"
    return f"a name is the path of a {_GAME_FILE} below that folder, {_LAYOUT}/SPLIT/TASK/TRIAL/{_GAME_FILE}"


# The index.


def _index(data: Path, split: str) -> list[Entry]:
    """From the cache while it is good, from the folders otherwise."""
    fingerprint, newest = _fingerprint(data / _LAYOUT / split)
    places = _places(data, split)
    for place in places:
        entries = _read_index(place, split, fingerprint)
        if entries is not None:
            return entries
    entries = _walk(data, split)
    if abs(time.time() - newest) > _SETTLED_SECONDS:
        content = {"version": _INDEX_VERSION, "split": split, "fingerprint": fingerprint}
        games = [[entry.name, entry.task_type, entry.floor_plan, entry.dialect] for entry in entries]
        text = json.dumps(content | {"games": games}, indent=0)
        any(_write_atomically(place, text) for place in places)
    return entries


def _places(data: Path, split: str) -> list[Path]:
    """Where the index may be: with the data, or in the user's cache under a name that tells the data apart."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "oreo"
    where = hashlib.sha256(str(data.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
    return [data / f".oreo-index-{split}.json", cache / f"alfworld-{where}-{split}.json"]


def _fingerprint(folder: Path) -> tuple[str, float]:
    """A digest of the names and mtimes of a split's folder and its task folders; the newest mtime, in seconds."""
    try:
        with os.scandir(folder) as listing:
            tasks = [(entry.name, entry.stat().st_mtime_ns) for entry in listing if entry.is_dir()]
        state = sorted([("", folder.stat().st_mtime_ns), *tasks])
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error})") from error
    return hashlib.sha256(json.dumps(state).encode()).hexdigest(), max(mtime for _, mtime in state) / 1e9


def _read_index(place: Path, split: str, fingerprint: str) -> list[Entry] | None:
    """The entries of a cached index, None if it is missing, stale or broken."""
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        if [content[key] for key in ("version", "split", "fingerprint")] != [_INDEX_VERSION, split, fingerprint]:
            return None
        entries = [Entry(*game) for game in content["games"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    whole = all(isinstance(value, str) for entry in entries for value in vars(entry).values())
    return entries if whole else None


def _write_atomically(place: Path, text: str) -> bool:
    """False where nothing can be written. A reader sees the old file or the new one, never half of one."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=place.parent, prefix=place.name, suffix=".tmp")
    except OSError:
        return False
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(temporary, place)
    except OSError:
        os.unlink(temporary)
        return False
    return True


def _walk(data: Path, split: str) -> list[Entry]:
    """Look into every folder of a split, as alfworld does at each start. Says so where it takes a while."""
    entries = []
    started, told = time.monotonic(), False
    for folder, _, files in os.walk(data / _LAYOUT / split):
        if not told and time.monotonic() - started > 2:
            print(f"indexing the games in {data / _LAYOUT / split}, once …", file=sys.stderr)
            told = True
        name = (Path(folder).relative_to(data) / _GAME_FILE).as_posix()
        dropped = "movable" in name or "Sliced" in name
        if dropped or _GAME_FILE not in files or _TRAJECTORY_FILE not in files:
            continue
        content = _read_json(data / name)
        if not content.get("solvable"):
            continue
        game = _game(name, data / name, content)
        entries.append(Entry(name, game.task_type, game.floor_plan, game.dialect))
    return sorted(entries, key=lambda entry: entry.name)
