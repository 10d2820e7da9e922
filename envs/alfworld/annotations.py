"""Tasks in people's own words: annotations of ALFRED made fit to stand where a game's templated task sentence stands.

alfworld puts them there when it makes a game (`goal_desc_human_anns_prob` of `alfworld-generate`). The sentence becomes
part of the grammar, which TextWorld reads: there ; | " < > [ ] # { } have a meaning or end the text in silence. So
people's sentences are changed where the engines could not say them, and nowhere else.
"""

from __future__ import annotations

import dataclasses
import re
import unicodedata

from oreo.envs.alfworld.game import Game, split_at_task
from oreo.errors import DataError, UsageError

_SPOKEN = str.maketrans(
    {";": ",", "|": "/", "\\": "/", '"': "'", "<": "(", "[": "(", "{": "(", ">": ")", "]": ")", "}": ")"}
)


def human_goals(game: Game) -> tuple[str, ...]:
    """Return what people wrote about the game's task, as the engines can say it; without those that say nothing."""
    return tuple(goal for goal in map(speakable, game.human_goals) if goal)


def speakable(sentence: str) -> str:
    r"""A sentence that a grammar can hold, changed no more than needed; empty where nothing is said.

    Blanks and line ends of all kinds become one space, control characters go. `;` becomes a comma, `|` and `\` a slash,
    `"` an apostrophe, the brackets <>[]{} become round ones; "#2" is "number 2", any other # goes. It ends in a full
    stop, as all tasks do, where it does not end in . ! or ? already.
    """
    text = re.sub(r"#\s*(?=\d)", "number ", sentence).replace("#", " ").translate(_SPOKEN)
    text = "".join(letter for letter in text if letter.isspace() or unicodedata.category(letter) not in ("Cc", "Cs"))
    text = " ".join(text.split()).strip(" ,")
    if not any(letter.isalnum() for letter in text):
        return ""
    return text if text[-1] in ".!?" else f"{text}."


def in_human_words(game: Game, goal: int) -> Game:
    """The game with annotation `goal`, counted from 0, for its task sentence.

    Raises:
        UsageError: it has no such annotation.
        DataError: there is no task sentence in its grammar.
    """
    goals = human_goals(game)
    if not goals:
        raise UsageError(f"{game.name}: nobody wrote about this game; play it with goals='templated'")
    if isinstance(goal, bool) or not isinstance(goal, int) or not 0 <= goal < len(goals):
        raise UsageError(f"no goal {goal!r}: those of {game.name} are numbered 0 to {len(goals) - 1}")
    parts = split_at_task(game.grammar)
    if parts is None:
        raise DataError(f"{game.name}: malformed game, its grammar has no task sentence")
    return dataclasses.replace(game, grammar=f"{parts[0]}{goals[goal]}{parts[2]}")
