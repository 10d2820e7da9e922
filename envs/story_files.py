"""Files of interactive fiction: which of a folder are games, what they are called, and what a game's text says."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from oreo.errors import UsageError, did_you_mean

_PROMPT = re.compile(r"\n[ \t]*>[ \t]*(-= .* =-\S*)?\s*\Z")
"""The line at the end of a game's text where it waits; TextWorld's shows the room and the number of moves."""


def without_prompt(text: str) -> str:
    """What a game says, without the line where it waits for a command."""
    return _PROMPT.sub("", text).strip()


def story_files(place: Path, playable: Callable[[Path], bool], expected: str) -> dict[str, Path]:
    """A game file, or the games of a folder, by their names, sorted.

    The name is the file's without its ending; with it, where two would be called the same.

    Args:
        playable: whether a file is a game.
        expected: what a game is, for messages.
    Raises:
        UsageError: no such file or folder, or no game.
    """
    if not place.exists():
        raise UsageError(f"{place}: there is no such game file or folder (looked in {Path.cwd()})")
    if place.is_dir():
        files = sorted(file for file in place.iterdir() if playable(file))
        if not files:
            raise UsageError(f"{place}: no game in it (looked for {expected})")
    elif not playable(place):
        raise UsageError(f"{place}: expected a game, {expected}")
    else:
        files = [place]
    stems = Counter(file.stem for file in files)
    return dict(sorted((file.stem if stems[file.stem] == 1 else file.name, file) for file in files))


def story_file(files: dict[str, Path], game: str) -> Path:
    """The file of a game's name.

    Raises:
        UsageError: no game of that name.
    """
    if game not in files:
        raise UsageError(f"no game {game!r}: {did_you_mean(str(game), list(files)[:20])}")
    return files[game]
