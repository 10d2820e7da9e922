"""The action in a turn: one rule for whoever acts, stores or learns from turns.

A turn is an action, or a thought that ends in a line "Action: …". What an agent is taught to write is read back by this
rule when it acts; so a stored step whose turn does not hold its action teaches something that the environment was never
given.
"""

from __future__ import annotations

import re

from oreo.trajectory import Step

_ACTION = re.compile(r"^[ \t]*action[ \t]*:(.*)$", re.IGNORECASE | re.MULTILINE)


def action_of(turn: str) -> str:
    """The action in a turn: what follows its last "Action:", on that line, or all of it."""
    actions = _ACTION.findall(turn)
    return (actions[-1] if actions else turn).strip()


def holds_its_action(step: Step) -> bool:
    """Whether an agent that writes this step's turn does what the step did."""
    return step.turn is None or action_of(step.turn) == step.action.strip()
