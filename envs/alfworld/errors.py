"""What the simulator says of a game that it does not know: who else may play it, and what nobody may."""

from __future__ import annotations

from oreo.errors import DataError


class UnknownGameLogic(DataError):
    """A game has rules or wording that the simulator does not know. The original engine may play it instead."""

    def __init__(self, what: str) -> None:
        super().__init__(f"the simulator does not know {what}; play this game with engine='textworld'")


class UnknownExpression(DataError):
    """A grammar has an expression that is neither a name nor a text in quotes. No engine plays such a game.

    TextWorld hands these expressions to Python's `eval`, so whoever wrote the game file could run any code. This
    package reads them itself, and refuses what it cannot read, on the original engine as well.
    """

    def __init__(self, expression: str) -> None:
        super().__init__(
            f"the expression {{{expression[:200]}}} of the grammar is not made of names (x, x.name, x.id, x.definite, "
            "x.indefinite), texts in quotes, + and or; nothing else of a game file is evaluated, on either engine"
        )
