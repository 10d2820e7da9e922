"""The action in a turn: one rule for whoever acts, stores or learns from turns.

A turn is an action, or a thought that ends in a line "Action: …" or in <action>…</action>. What an agent is taught to
write is read back by this rule when it acts; so a stored step whose turn does not hold its action teaches something
that the environment was never given.
"""

from __future__ import annotations

import re

from oreo.trajectory import Step

_ACTION = re.compile(
    r"^[ \t]*action[ \t]*:(?:[ \t]*\n)*(?P<line>.*)$|<action>(?P<tag>[^<]*(?:<(?!/?action>)[^<]*)*)</action>",
    re.IGNORECASE | re.MULTILINE,
)


def action_of(turn: str) -> str:
    """The action in a turn: what its last "Action:" or <action>…</action> holds, or all of it.

    "Action:" holds the rest of its line or, where that is blank, the next line that is not.
    """
    action = turn
    for match in _ACTION.finditer(turn):
        action = match["line"] if match["tag"] is None else match["tag"]
    return action.strip()


def holds_its_action(step: Step) -> bool:
    """Whether an agent that writes this step's turn does what the step did."""
    return step.turn is None or action_of(step.turn) == step.action.strip()
