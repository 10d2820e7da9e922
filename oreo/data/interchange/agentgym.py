"""AgentGym's AgentTraj (arXiv 2406.04151): ShareGPT with `loss` true, false or null, and `item_id`.

`loss` false is a turn that is not to be imitated. No game is named. Observations of ALFWorld end in the commands that
are possible, which have a place of their own. AgentInstruct (arXiv 2310.12823) has the same rows with `id`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from oreo.data.interchange.sharegpt import read_row
from oreo.data.interchange.spec import Episode, Format, Reading, Result, has
from oreo.trajectory import Trajectory

_COMMANDS = re.compile(r"\s*AVAILABLE ACTIONS:[ \t]*(.*)\s*\Z")


def _read(row: Any, reading: Reading) -> Iterable[Result]:
    for result in read_row(row, reading):
        yield replace(result, trajectory=_with_commands(result.trajectory)) if isinstance(result, Episode) else result


def _with_commands(trajectory: Trajectory) -> Trajectory:
    steps = []
    for step in trajectory.steps:
        match = _COMMANDS.search(step.observation)
        if match:
            commands = tuple(command.strip() for command in match[1].split(",") if command.strip())
            step = replace(step, observation=step.observation[: match.start()], admissible_commands=commands)
        steps.append(step)
    last = _COMMANDS.sub("", trajectory.final_observation)
    return replace(trajectory, steps=tuple(steps), final_observation=last)


def _fits(row: Any) -> bool:
    if not has(row, "conversations"):
        return False
    items = row["conversations"]
    if items is None:
        return has(row, "item_id")
    return isinstance(items, list) and any(has(item, "from", "value", "loss") for item in items)


FORMAT = Format(
    name="agentgym",
    about="AgentGym's AgentTraj and AgentInstruct: ShareGPT with loss true, false or null, item_id",
    fits=_fits,
    read=_read,
    instead_of=("sharegpt",),
)
