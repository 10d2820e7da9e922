"""Games in a folder tree, as `alfworld-download` leaves it.

The layout is DATA/json_2.1.1/SPLIT/TASK/TRIAL/{game.tw-pddl,traj_data.json}.
Which games there are in a split is read from an index, a small JSON file in DATA, or in the user's cache folder where
DATA cannot be written. It is good as long as the split's folder and its task folders (not the trials in them, of which
there are thousands) keep their mtimes. What this process has read of it once serves all its environments.
"""

from __future__ import annotations

import hashlib
import json
import os
import reprlib
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from oreo.envs.alfworld.data.entry import Entry, describe, whole
from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.errors import DataError
from oreo.text import one_line

LAYOUT = "json_2.1.1"
GAME_FILE = "game.tw-pddl"
_TRAJECTORY_FILE = "traj_data.json"
_INDEX_VERSION = 2
# A folder changed so recently may change again within the same tick of the file system's clock, unnoticed.
_SETTLED_SECONDS = 2.0

State = list[tuple[str, int]]
"""Names and mtimes (ns) of a split's folder and its task folders."""

_read_before: dict[Path, tuple[State, tuple[Entry, ...]]] = {}


def tree_entries(data: Path, split: str) -> tuple[Entry, ...]:
    """The playable games of a split, sorted by name: alfworld's selection.

    Raises:
        DataError: malformed games, or a folder that cannot be read.
    """
    folder = (data / LAYOUT / split).absolute()
    previous, shared = _read_before.get(folder, ([], ()))
    state = _state(folder, previous)
    if state == previous:
        return shared
    entries = tuple(_index(data, split, state))
    if _settled(state):
        _read_before[folder] = (state, entries)
    return entries


def is_game_of(data: Path, name: str) -> bool:
    """Return whether `name` is the path of a game below `data`, and of nothing outside."""
    inside = not os.path.isabs(name) and ".." not in Path(name).parts
    return inside and Path(name).name == GAME_FILE and (data / name).is_file()


def tree_game(data: Path, name: str) -> Game:
    """Read the two files of a game. Raises DataError where they are malformed."""
    path = data / name
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
        goals = tuple(str(annotation["task_desc"]) for annotation in annotations if "task_desc" in annotation)
        facts = {
            "task_type": content["task_type"],
            "params": dict(content["pddl_params"]),
            "floor_plan": content["scene"]["floor_plan"],
        }
    except KeyError as error:
        raise DataError(f"{path}: malformed, it has no {error}") from error
    except (TypeError, ValueError, AttributeError, RecursionError) as error:
        raise DataError(f"{path}: malformed ({error})") from error
    for key in ("task_type", "floor_plan"):
        if not isinstance(facts[key], str):
            raise DataError(f"{path}: malformed, its {key} is {reprlib.repr(facts[key])}")
    return facts | {"human_goals": goals}


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path}: cannot be read ({' '.join(str(error).split())})") from error
    if not isinstance(content, dict):
        raise DataError(f"{path}: malformed, expected a JSON object and found {type(content).__name__}")
    return content


# The index.


def _index(data: Path, split: str, state: State) -> list[Entry]:
    """Read the index from the cache while it is good, from the folders otherwise."""
    fingerprint = hashlib.sha256(json.dumps(state).encode()).hexdigest()
    places = _places(data, split)
    for place in places:
        entries = _read_index(place, split, fingerprint)
        if entries is not None:
            return entries
    entries = _walk(data, split)
    if _settled(state):
        content = {"version": _INDEX_VERSION, "split": split, "fingerprint": fingerprint}
        text = json.dumps(content | {"games": [list(vars(entry).values()) for entry in entries]}, indent=0)
        any(_write_atomically(place, text) for place in places)
    return entries


def _places(data: Path, split: str) -> list[Path]:
    """Return where the index may be: with the data, or in the user's cache under a name that tells the data apart."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "oreo"
    where = hashlib.sha256(str(data.resolve()).encode(errors="surrogateescape")).hexdigest()[:16]
    return [data / f".oreo-index-{split}.json", cache / f"alfworld-{where}-{split}.json"]


def _state(folder: Path, previous: State) -> State:
    """Look at the folder as it is now. While it keeps its mtime, the task folders in it have the names of before."""
    try:
        top = ("", folder.stat().st_mtime_ns)
        if previous[:1] == [top]:
            names = [name for name, _ in previous[1:]]
        else:
            with os.scandir(folder) as listing:
                names = sorted(entry.name for entry in listing if entry.is_dir())
        return [top, *[(name, os.stat(f"{folder}/{name}").st_mtime_ns) for name in names]]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read ({error})") from error


def _settled(state: State) -> bool:
    return abs(time.time() - max(mtime for _, mtime in state) / 1e9) > _SETTLED_SECONDS


def _read_index(place: Path, split: str, fingerprint: str) -> list[Entry] | None:
    """The entries of a cached index, None if it is missing, stale or broken."""
    try:
        content = json.loads(place.read_text(encoding="utf-8"))
        if [content[key] for key in ("version", "split", "fingerprint")] != [_INDEX_VERSION, split, fingerprint]:
            return None
        entries = [Entry(*game) for game in content["games"]]
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return entries if all(map(whole, entries)) else None


def _write_atomically(place: Path, text: str) -> bool:
    """Write it; False where nothing can be written. A reader sees the old file or the new one, never half of one."""
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
    entries: list[Entry] = []
    malformed: list[DataError] = []
    started, told = time.monotonic(), False
    for folder, _, files in os.walk(data / LAYOUT / split):
        if not told and time.monotonic() - started > 2:
            print(one_line(f"indexing the games in {data / LAYOUT / split}, once …"), file=sys.stderr)
            told = True
        name = (Path(folder).relative_to(data) / GAME_FILE).as_posix()
        dropped = "movable" in name or "Sliced" in name
        if dropped or GAME_FILE not in files or _TRAJECTORY_FILE not in files:
            continue
        try:
            content = _read_json(data / name)
            if content.get("solvable"):
                entry = describe(_game(name, data / name, content))
                entries += [entry] if entry.task_type in TASK_TYPES else []
        except DataError as error:
            malformed.append(error)
    if malformed:
        # Strict: a result is about every game of a split, and where a file is broken others may be missing.
        count = f"; {len(malformed)} games of this split are broken" if len(malformed) > 1 else ""
        raise DataError(f"{min(map(str, malformed))}{count}; get it again, or remove its folder to go on without it")
    return sorted(entries, key=lambda entry: entry.name)
