"""Counts of what is stored: `oreo buffer info`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

_BY = {"env": "env_id", "task_type": "task_type", "agent": "agent", "dialect": "dialect", "grade": "grade"}


def summary(columns: Callable[..., Iterator[tuple[Any, ...]]]) -> dict[str, Any]:
    """episodes, steps, won, success_rate, games, cut_turns, refused, and by_env, by_task_type, by_agent, by_dialect,
    by_grade: {name: {"episodes": …, "won": …, "success_rate": …}}.

    Args:
        columns: gives the rows of the columns that it is called with.
    """
    episodes = steps = won = cut = refused = 0
    games = set()
    counts: dict[str, Counter[str]] = {name: Counter() for name in _BY}
    wins: dict[str, Counter[str]] = {name: Counter() for name in _BY}
    names = ("won", "length", "game", "steps.cut", "steps.action_valid", *_BY.values())
    for success, length, game, cuts, valid, *values in columns(*names):
        episodes, steps, won = episodes + 1, steps + length, won + success
        cut, refused = cut + sum(cuts), refused + valid.count(False)
        games.add(game)
        for name, value in zip(_BY, values, strict=True):
            counts[name][value] += 1
            wins[name][value] += success
    facts: dict[str, Any] = {"episodes": episodes, "steps": steps, "won": won}
    facts |= {"success_rate": won / episodes if episodes else None, "games": len(games - {""})}
    facts |= {"cut_turns": cut, "refused": refused}
    return facts | {f"by_{name}": _rates(counts[name], wins[name]) for name in _BY}


def _rates(episodes: Counter[str], won: Counter[str]) -> dict[str, dict[str, Any]]:
    return {
        name: {"episodes": episodes[name], "won": won[name], "success_rate": won[name] / episodes[name]}
        for name in sorted(episodes)
    }
