"""What one environment is, as `oreo envs info` tells it: found out by making it and beginning one episode."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from importlib import metadata
from typing import Any

from oreo.envs.registry import BUILT_IN, SHORT_NAMES, adapter, make
from oreo.envs.text_env import ask_expert, step_limit
from oreo.errors import OreoError

_SHOWN = 200
"""Characters of the first observation."""


def describe(env: str, max_steps: int | None, env_kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Spaces, step limit, splits, games, what it can do, what it needs, and how its first episode begins.

    Raises:
        OreoError: as `oreo.envs.make`; an environment that cannot begin an episode says so in the answer.
    """
    made = make(env, max_steps=max_steps, **env_kwargs)
    try:
        inner: Any = made.unwrapped
        games = getattr(inner, "games", None)
        described = {
            "about": (inspect.getdoc(type(inner)) or "").partition("\n")[0],
            "class": f"{type(inner).__module__}:{type(inner).__qualname__}",
            "observations": str(made.observation_space),
            "actions": str(made.action_space),
            "max steps": step_limit(made),
            "splits": ", ".join(getattr(type(inner), "splits", ())) or None,
            "games": "without names" if not games else f"{len(games)}, such as {games[0]}",
            "expert": "no",
            "snapshots": "yes" if callable(getattr(inner, "snapshot", None)) else "no",
            "needs": _needs(env),
        }
        return described | _first_episode(made)
    finally:
        made.close()


def _has_expert(env: Any) -> bool:
    """Whether there is one of the episode that has begun: some have experts of some games only."""
    try:
        return bool(ask_expert(env))
    except OreoError:
        return False


def _needs(env: str) -> str:
    """Packages with version and licence."""
    if (adapted := adapter(env)) is not None:
        needed = ", ".join(f"{name} {_package(name)}" for name in adapted.packages)
        return f"{needed}{'; ' + adapted.needs if adapted.needs else ''}"
    return "nothing that oreo-agents does not have" if SHORT_NAMES.get(env, env) in BUILT_IN else "its own file"


def _package(name: str) -> str:
    try:
        package: Any = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return "(not installed)"
    lines = str(package.get("License-Expression") or package.get("License") or "").strip().splitlines()
    licence = (
        lines[0][:40]
        if lines
        else next(
            (
                entry.rpartition(" :: ")[2]
                for entry in package.get_all("Classifier") or ()
                if entry.startswith("License ::")
            ),
            "licence unknown",
        )
    )
    files = metadata.files(name) or ()
    size = sum(file.size or 0 for file in files)
    return f"{package['Version']} ({licence}, {size / 1e6:.1f} MB)"


def _first_episode(made: Any) -> dict[str, Any]:
    try:
        observation, info = made.reset(seed=0)
    except OreoError as error:
        return {"cannot begin": str(error)}
    text = " ".join(observation.split())
    commands = info.get("admissible_commands")
    return {
        "expert": "yes" if _has_expert(made) else "no",
        "info": ", ".join(sorted(info)),
        "admissible commands": "not listed" if commands is None else f"{len(commands)} in the beginning",
        "begins with": text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…",
    }
