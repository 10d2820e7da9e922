"""Asking an agent for its decisions, and seeing that they are what `oreo.agents.agent.Agent` promises.

Agents are anybody's code. What is wrong with one is said here, in a line that names it, and not three calls later
where an environment or a file takes what it gave.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from oreo.agents.agent import Agent, Decision, Episode
from oreo.errors import EngineError, OreoError, UsageError
from oreo.plugins import reason
from oreo.trajectory import Candidate

_EXAMPLE = "examples/greedy_agent.py is an agent in twenty lines"
_TEXT = "a str"


def check_agent(agent: Any, name: str) -> None:
    """Raises UsageError for what lacks something that every agent has."""
    if not callable(getattr(agent, "act", None)):
        raise UsageError(f"{name} is no agent: it has no method act(episodes); {_EXAMPLE}")
    for attribute in ("name", "checkpoint"):
        try:
            value = getattr(agent, attribute)
        except AttributeError:
            raise UsageError(
                f"{name} has no {attribute}: an agent has a name and a checkpoint, which are stored with its episodes "
                f"(checkpoint is '' without weights); {_EXAMPLE}"
            ) from None
        if not isinstance(value, str):
            raise UsageError(f"{name} has {attribute}={value!r}; expected a str")


def decide(agent: Agent, episodes: Sequence[Episode]) -> list[Decision]:
    """A decision for each episode, in the same order.

    Raises:
        EngineError: the agent's code failed.
        UsageError: what it gave is not a list with a `Decision` for each episode.
    """
    name = getattr(agent, "name", None) or type(agent).__name__
    try:
        decisions: Any = agent.act(episodes)
    except OreoError:
        raise
    except Exception as error:
        raise EngineError(f"agent {name} failed: {reason(error)}") from error
    if not isinstance(decisions, Sequence) or isinstance(decisions, str):
        raise UsageError(f"agent {name}: act gave a {type(decisions).__name__}; expected a list of Decisions")
    if len(decisions) != len(episodes):
        raise UsageError(
            f"agent {name}: act gave {len(decisions)} decisions for {len(episodes)} episodes; expected one for each"
        )
    for decision in decisions:
        if not isinstance(decision, Decision):
            raise UsageError(
                f"agent {name}: act gave a {type(decision).__name__} among its decisions; expected a "
                f"oreo.agents.Decision, such as Decision('look'); {_EXAMPLE}"
            )
        if (wrong := _wrong(decision)) is not None:
            field, expected = wrong
            raise UsageError(
                f"agent {name}: a decision has {field}={getattr(decision, field)!r:.100}; expected {expected}"
            )
    return list(decisions)


def _wrong(decision: Decision) -> tuple[str, str] | None:
    """The first field that does not hold what it should, and what it should; None: all do."""
    if not isinstance(decision.action, str):
        return "action", _TEXT
    if not (decision.turn is None or isinstance(decision.turn, str)):
        return "turn", f"{_TEXT} or None"
    if not _is_log_prob(decision.log_prob):
        return "log_prob", "a number below infinity or None"
    if not _is_number(decision.value):
        return "value", "a finite number or None"
    for field in ("imitate", "cut"):
        if not isinstance(getattr(decision, field), bool):
            return field, "True or False"
    if not isinstance(decision.actor, str):
        return "actor", _TEXT
    start = decision.context_start
    if not isinstance(start, int) or isinstance(start, bool) or start < 0:
        return "context_start", "the index of a step"
    ids = decision.token_ids
    if not (ids is None or (isinstance(ids, tuple) and all(type(token) is int and token >= 0 for token in ids))):
        return "token_ids", "a tuple of token ids, or None"
    if not isinstance(decision.candidates, tuple) or not all(map(_is_candidate, decision.candidates)):
        return "candidates", "a tuple of oreo.trajectory.Candidate, with finite numbers and a count of 1 or more"
    return None


def _is_candidate(value: Any) -> bool:
    return (
        isinstance(value, Candidate)
        and isinstance(value.text, str)
        and _is_log_prob(value.log_prob)
        and _is_number(value.value)
        and type(value.count) is int
        and value.count >= 1
    )


def _is_log_prob(value: Any) -> bool:
    """A text that a model never says has -inf."""
    return _is_number(value) or value == -math.inf


def _is_number(value: Any) -> bool:
    if value is None:
        return True
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
