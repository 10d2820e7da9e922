"""The real games: where they are, which there are in a split, and one of them as data.

They lie in a folder tree, as `alfworld-download` leaves it (folder.py), or in one file made from it (pack.py). Both
give the same games under the same names: the path of a game.tw-pddl below the data folder. pack.py is imported where it
is needed: some Pythons are built without sqlite3, and folders do without it.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from oreo.envs.alfworld.data.entry import Entry
from oreo.envs.alfworld.data.folder import GAME_FILE, LAYOUT, is_game_of, tree_entries, tree_game
from oreo.envs.alfworld.data.selection import select
from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.errors import DataError, UsageError, did_you_mean

__all__ = ["LAYOUT", "SPLITS", "Entry", "find_data", "load_game", "open_split", "pack_games", "split_entries", "splits"]

SPLITS = ("train", "valid_seen", "valid_unseen")
_HOW_TO_GET = "run `alfworld-download` and set ALFWORLD_DATA to its folder, or use split='generated' without data"


def find_data(data: str | os.PathLike[str] | None = None, *, label: str = "data") -> Path:
    """The folder of games, or the pack: `data`, else ALFWORLD_DATA, else where alfworld puts its games by default.

    Args:
        label: what `data` is called where it came from, for messages.
    Raises:
        DataError: there is none, or no games in it.
    """
    hint = _HOW_TO_GET if label == "data" else f"run `alfworld-download` and give {label} or ALFWORLD_DATA its folder"
    label = label if data is not None else "ALFWORLD_DATA"
    path = os.fspath(data) if data is not None else os.environ.get("ALFWORLD_DATA", "")
    place = Path(path or "~/.cache/alfworld").expanduser()
    if not path and not (place / LAYOUT).is_dir():
        raise DataError(f"{label} is not set; {hint}")
    if not place.exists():
        raise DataError(f"{label}: there is no folder or pack {place}; {hint}")
    if place.is_dir() and not (place / LAYOUT).is_dir():
        raise DataError(f"{label}: {place} holds no ALFWorld games (no folder {LAYOUT} in it); {hint}")
    if not place.is_dir():
        from oreo.envs.alfworld.data.pack import is_pack

        if not is_pack(place):
            raise DataError(f"{label}: {place} is no pack of games; `oreo games pack` makes one from a data folder")
    return place


def splits(data: Path) -> list[str]:
    """The splits that are there, in the order of SPLITS. `data` is what `find_data` returned, here and below."""
    if data.is_dir():
        return [split for split in SPLITS if (data / LAYOUT / split).is_dir()]
    from oreo.envs.alfworld.data.pack import pack_splits

    available = pack_splits(data)
    return [split for split in SPLITS if split in available]


def split_entries(data: Path, split: str) -> tuple[Entry, ...]:
    """The playable games of a split, sorted by name: alfworld's selection.

    Dropped are games with a movable receptacle or a sliced object, and those not known to be solvable.
    Raises:
        UsageError: an unknown split.
        DataError: the split is missing or has no such game, or a file in it is malformed.
    """
    if split not in SPLITS:
        raise UsageError(f"unknown split {split!r}: {did_you_mean(split, SPLITS)}")
    available = splits(data)
    if split not in available:
        listed = ", ".join(available) or "none"
        raise DataError(f"{_where(data, split)}: the split {split!r} is not there (found: {listed}); {_HOW_TO_GET}")
    entries = _entries(data, split)
    if not entries:
        raise DataError(f"{_where(data, split)}: no playable game in it; {_HOW_TO_GET}")
    return entries


def open_split(
    data: Path,
    split: str,
    task_types: Sequence[str] = TASK_TYPES,
    floor_plans: Sequence[str] | None = None,
    objects: Sequence[str] | None = None,
) -> list[Entry]:
    """Return the entries of `split_entries` that are wanted.

    Args:
        split: one of SPLITS.
        task_types: keep only these.
        floor_plans: keep only games in these rooms and floor plans, as `check_floor_plans` returns them.
        objects: keep only games about these kinds of objects, in any case.
    Raises:
        UsageError: an unknown split, or an object that no game of it is about.
        DataError: no game is left; and whatever `split_entries` finds wrong.
    """
    entries = split_entries(data, split)
    return select(entries, _where(data, split), task_types=task_types, floor_plans=floor_plans, objects=objects)


def load_game(data: Path, name: str) -> Game:
    """Read one game.

    Args:
        name: the path of its game.tw-pddl below the data folder, with forward slashes.
    Raises:
        UsageError: no such game.
        DataError: it is malformed.
    """
    if data.is_dir():
        game = tree_game(data, name) if is_game_of(data, name) else None
    else:
        from oreo.envs.alfworld.data.pack import pack_game

        game = pack_game(data, name)
    if game is None:
        raise UsageError(f"no game {name!r} in {data}: {_nearest(data, name)}")
    return game


def pack_games(
    data: Path,
    output: Path,
    only: Sequence[str] | None = None,
    *,
    progress: Callable[[int, int], object] | None = None,
) -> dict[str, int]:
    """Write the playable games of a data folder (or of another pack) into one file. Returns how many of each split.

    Args:
        output: the file; a pack that is there is replaced, once the new one is complete.
        only: these splits; None: all that are there.
        progress: called with (games done, games in all) after each.
    Raises:
        UsageError: an unknown split, or something else at `output`.
        DataError: missing or malformed games, or a file that cannot be written.
    """
    from oreo.envs.alfworld.data.pack import check_output, write_pack

    check_output(output)  # before minutes go by for an index
    chosen = {split: split_entries(data, split) for split in only or splits(data)}
    if not chosen:
        raise DataError(f"{data}: no split in it (looked for {', '.join(SPLITS)}); {_HOW_TO_GET}")
    total = sum(map(len, chosen.values()))

    def games() -> Iterator[tuple[str, Game]]:
        done = 0
        for split, entries in chosen.items():
            for entry in entries:
                yield split, load_game(data, entry.name)
                done += 1
                if progress is not None:
                    progress(done, total)

    write_pack(output, games())
    return {split: len(entries) for split, entries in chosen.items()}


def _entries(data: Path, split: str) -> tuple[Entry, ...]:
    if data.is_dir():
        return tree_entries(data, split)
    from oreo.envs.alfworld.data.pack import pack_entries

    return pack_entries(data, split)


def _where(data: Path, split: str) -> str:
    return str(data / LAYOUT / split) if data.is_dir() else f"{data}, {split}"


def _nearest(data: Path, name: str) -> str:
    """Return the end of an error message about a name that names no game."""
    for split in splits(data):
        if f"/{split}/" in f"/{name}":
            names = [entry.name for entry in _entries(data, split)]
            for near in difflib.get_close_matches(name, names, n=1) or names:
                return f"did you mean {near!r}?"
    return f"a name is the path of a {GAME_FILE} below the data folder, {LAYOUT}/SPLIT/TASK/TRIAL/{GAME_FILE}"
