"""Which environment, and which of its games, an episode is from that was recorded elsewhere.

An environment that can tell has a hook: `match` of its entry in `BUILT_IN`, or a static method `matcher(data)` of its
class, which returns a function as `oreo.matching.Match` has it, or None in place of a Matched for what is not its own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

from oreo.envs.registry import BUILT_IN, SHORT_NAMES, entry_points, load_class, names
from oreo.errors import DataError, OreoError, UsageError, did_you_mean
from oreo.matching import Match, Matched
from oreo.plugins import load_object
from oreo.trajectory import Trajectory

Recognize: TypeAlias = Callable[[Trajectory, bool], Matched | None]


def check_env(env: str) -> str:
    """The id of an environment that episodes are said to be from; also one that is not installed, such as tau2/airline.

    Raises:
        UsageError: a word that is the name of none.
    """
    env_id = SHORT_NAMES.get(env, env)
    if env_id not in names() and "/" not in env_id and ":" not in env_id:
        choices = did_you_mean(env, [*sorted(SHORT_NAMES), *names()])
        raise UsageError(f"no environment {env!r}: {choices}; of one that is not installed, give an id with a / in it")
    return env_id


def matcher(env: str = "", data: str | os.PathLike[str] | None = None) -> Match:
    """A function that finds an episode's environment and game.

    Args:
        env: the environment all are from; empty: each built-in one is asked.
        data: the games, for environments that have them on disk; None: where they are by default.

    Raises:
        UsageError: no such environment.
    """
    env_id = check_env(env) if env else ""
    hooks = _hooks([env_id] if env_id else list(BUILT_IN), data)

    def match(trajectory: Trajectory, outcome_known: bool) -> Matched:
        own = env_id or trajectory.env_id
        for name, recognize in hooks.items():
            matched = recognize(trajectory, outcome_known) if recognize and own in ("", name) else None
            if matched is not None:
                return replace(matched, trajectory=replace(matched.trajectory, env_id=name))
        return Matched(replace(trajectory, env_id=own), outcome_known)

    return match


def _hooks(env_ids: Sequence[str], data: str | os.PathLike[str] | None) -> dict[str, Recognize | None]:
    hooks: dict[str, Recognize | None] = {}
    refusals: list[OreoError] = []
    for env_id in env_ids:
        try:
            hooks[env_id] = _hook(env_id, data)
        except (DataError, UsageError) as refusal:
            refusals.append(refusal)
    if refusals:
        short = {name: word for word, name in SHORT_NAMES.items()}
        takers = [short.get(env_id, env_id) for env_id, hook in hooks.items() if hook is not None]
        if takers:  # what is no place of games for one environment is one for another
            raise UsageError(f"--data {data} holds games of --env {' or '.join(takers)}; say that, too") from refusals[
                0
            ]
        raise refusals[0]
    return hooks


def _hook(env_id: str, data: str | os.PathLike[str] | None) -> Recognize | None:
    make: Any = None
    if env_id in BUILT_IN:
        make = load_object(BUILT_IN[env_id].matcher) if BUILT_IN[env_id].matcher else None
    elif env_id in entry_points() or ":" in env_id:
        make = getattr(load_class(entry_points().get(env_id, env_id)), "matcher", None)
    return None if make is None else make(data)
