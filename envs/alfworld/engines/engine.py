"""What plays a game: the protocol that the original engine and the simulator share."""

from __future__ import annotations

from typing import Protocol

from oreo.envs.alfworld.game import Game


class Engine(Protocol):
    """One game at a time. `reset` may be called again and again, with the same game or another."""

    def reset(self, game: Game) -> str:
        """Load `game` and return the first observation, as the original words it."""
        ...

    def step(self, command: str) -> str:
        """Carry out `command`, stripped of blanks, and return the feedback; "Nothing happens." where it is refused."""
        ...

    @property
    def valid(self) -> bool:
        """Whether the last command was admissible (True after a reset)."""
        ...

    @property
    def won(self) -> bool:
        """Whether the goal holds now."""
        ...

    def admissible_commands(self) -> list[str]:
        """All commands the game accepts now, sorted, without duplicates."""
        ...

    def facts(self) -> list[str]:
        """Return what holds now, as alfworld's hand-coded expert reads it: "holds agent1 mug 2", predicate first."""
        ...

    def close(self) -> None:
        """Free everything for good. Idempotent."""
        ...


REFUSED = "Nothing happens."
