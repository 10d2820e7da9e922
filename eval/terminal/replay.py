"""See a stored episode again, step by step, with what the agent considered and how it valued it.

oreo replay runs/kitchen --episode 3
"""

from __future__ import annotations

import rich.console

from oreo.console import Console
from oreo.eval.terminal.player import Player
from oreo.eval.terminal.screen import View
from oreo.trajectory import Trajectory

_HINT = "←/→ step  space pause  q quit"


def outcome_of(trajectory: Trajectory) -> str:
    """How it ended, in a few words."""
    if trajectory.won:
        return "won"
    if trajectory.truncated:
        return "out of steps"
    return f"lost: {trajectory.grade.replace('_', ' ')}" if trajectory.grade else "lost"


def view_at(trajectory: Trajectory, position: int) -> View:
    """The episode after `position` steps, 0 to len(trajectory)."""
    ended = position == len(trajectory)
    return View(
        env_id=trajectory.env_id,
        agent=trajectory.agent,
        observation=trajectory.final_observation if ended else trajectory.steps[position].observation,
        task=trajectory.task,
        task_type=trajectory.task_type,
        game=trajectory.game,
        steps=trajectory.steps[:position],
        length=len(trajectory),
        outcome=outcome_of(trajectory) if ended else "",
        cut_off=ended and not trajectory.terminated,
        hint=_HINT,
    )


def replay(
    trajectory: Trajectory, *, delay: float = 0.5, paused: bool = False, console: rich.console.Console | None = None
) -> None:
    """Show `trajectory` from its first observation to its end; on a terminal the keys go to and fro.

    Args:
        trajectory: what to show.
        delay: seconds between two steps.
        paused: wait for a key at every step.
        console: where; None: standard output.
    """
    position = 0
    with Player(console or Console(), delay=delay, paused=paused) as player:
        player.show(view_at(trajectory, position))
        while position < len(trajectory) or player.paused:
            key = player.wait()
            if key == "quit" or (key == "next" and position == len(trajectory)):
                break
            position = max(0, position - 1) if key == "back" else position + 1
            player.show(view_at(trajectory, position))
