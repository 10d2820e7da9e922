"""Which of some commands somebody means who has typed a part of one. Pure functions."""

from __future__ import annotations

import os.path
from collections.abc import Sequence


def nearest(typed: str, commands: Sequence[str]) -> list[str]:
    """The commands that what is typed may mean, best first: those that begin with it, that have a word that does,
    that contain it, that have its letters in this order.
    """
    wanted = typed.casefold().strip()
    ranked = [(rank, at) for at, command in enumerate(commands) if (rank := _rank(wanted, command.casefold())) >= 0]
    return [commands[at] for _, at in sorted(ranked)]


def _rank(wanted: str, command: str) -> int:
    """0 is best; -1: it does not fit."""
    if command.startswith(wanted):
        return 0
    if any(word.startswith(wanted) for word in command.split()):
        return 1
    if wanted in command:
        return 2
    letters = iter(command)
    return 3 if all(letter in letters for letter in wanted.replace(" ", "")) else -1


def completion(typed: str, commands: Sequence[str]) -> str:
    """As far as all commands agree that begin with what is typed; else the nearest one; else what is typed."""
    beginning = [command for command in commands if command.casefold().startswith(typed.casefold())]
    if beginning:
        common = os.path.commonprefix(beginning)
        return common if len(common) > len(typed) else beginning[0] if len(beginning) == 1 else typed
    close = nearest(typed, commands)
    return close[0] if close else typed
