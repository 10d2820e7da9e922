"""The error that tells a caller to play a game with the original engine instead."""

from __future__ import annotations

from oreo.errors import DataError


class UnknownGameLogic(DataError):
    """A game has rules or wording that the simulator does not know."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the simulator does not know {what}; play this game with engine='textworld'")
