"""The action in what a language model wrote in a turn: what agents hand to the environment, and training expects."""

from __future__ import annotations

import re

_ACTION = re.compile(r"^[ \t]*action[ \t]*:(.*)$", re.IGNORECASE | re.MULTILINE)


def action_of(turn: str) -> str:
    """The action in a turn: what follows its last "Action:", on that line, or all of it."""
    actions = _ACTION.findall(turn)
    return (actions[-1] if actions else turn).strip()
