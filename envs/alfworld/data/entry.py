"""What is known about a game without opening it: enough to list, count and choose games by the thousand."""

from __future__ import annotations

from dataclasses import dataclass

from oreo.envs.alfworld.game import Game

UNKNOWN_RULES = "unknown"


@dataclass(frozen=True)
class Entry:
    """One line of an index of games."""

    name: str
    task_type: str
    floor_plan: str
    object: str
    """The kind of object that the task is about, like Mug; empty where the data does not say."""
    dialect: str
    rules: str
    """Of which alfworld: "before 0.4", "0.4", or "unknown" where the simulator does not know them."""
    goals: int
    """How many sentences people wrote about the task."""


def describe(game: Game) -> Entry:
    """The entry of a game."""
    from oreo.envs.alfworld.annotations import human_goals

    return Entry(
        name=game.name,
        task_type=game.task_type,
        floor_plan=game.floor_plan,
        object=str(game.params.get("object_target") or ""),
        dialect=game.dialect,
        rules=_rules(game),
        goals=len(human_goals(game)),
    )


def whole(entry: Entry) -> bool:
    """Return whether an entry that was read has values of the right types."""
    *texts, goals = vars(entry).values()
    return isinstance(goals, int) and all(isinstance(text, str) for text in texts)


def _rules(game: Game) -> str:
    """The version of the domain; unknown where the simulator has to leave the game to the original engine.

    Domain and grammar are looked at (once for all games that share them), the problem is not: that takes too long.
    """
    from oreo.envs.alfworld.engines.rules import known_rules
    from oreo.envs.alfworld.engines.wording import read_wording

    try:
        rules = known_rules(game.pddl_domain)
        read_wording(game.grammar, rules.actions)
    except Exception:  # Whatever is wrong with them, an index is not the place to fail: whoever plays the game is told.
        return UNKNOWN_RULES
    return "0.4" if "help" in rules.actions else "before 0.4"
