"""Agents of the user's own: `path/to/file.py:Class`, `module:Class`, and what installed packages offer.

Other packages add theirs in their pyproject.toml and need nothing of ours but the group's name:

    [project.entry-points."oreo.agents"]
    greedy = "cooks.agents:Greedy"
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Mapping
from typing import Any

from oreo.agents.agent import Agent
from oreo.agents.decisions import check_agent
from oreo.errors import OreoError, UsageError
from oreo.plugins import is_file, load_object, reason, split_spec

ENTRY_POINT_GROUP = "oreo.agents"


def entry_points() -> dict[str, str]:
    """Agents that installed packages offer: name -> "module:Class"."""
    return {point.name: point.value for point in importlib.metadata.entry_points(group=ENTRY_POINT_GROUP)}


def is_own(spec: str) -> bool:
    """Whether a word names an agent of the user's own, there or not, and no model."""
    place, name = split_spec(spec)
    named = bool(name) and name.isidentifier() and all(part.isidentifier() for part in place.split("."))
    return is_file(spec) or named or spec in entry_points()


def load_own(spec: str, arguments: Mapping[str, Any] | None = None) -> Agent:
    """Make it: what is named is called with the arguments.

    Raises:
        UsageError: nothing of that name, arguments that it does not take, or what comes is no agent.
    """
    place = spec if is_file(spec) or ":" in spec else entry_points()[spec]
    make = load_object(place)
    if not callable(make):
        raise UsageError(f"{spec}: expected a class of agents, got {make!r}")
    try:
        agent: Agent = make(**(arguments or {}))
    except OreoError:
        raise
    except Exception as error:
        raise UsageError(f"{spec} cannot be made with {dict(arguments or {})}: {reason(error)}") from error
    check_agent(agent, spec)
    return agent
