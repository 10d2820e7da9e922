"""A person plays, in plain lines: what the environment says is printed, and each line that is typed is an action."""

from __future__ import annotations

from collections.abc import Callable

import rich.console

from oreo.errors import UsageError
from oreo.eval.terminal.live.messages import Job
from oreo.eval.terminal.live.session import Session
from oreo.eval.terminal.screen import View, lines
from oreo.trajectory import Trajectory


def play(job: Job, console: rich.console.Console, read: Callable[[], str]) -> Trajectory | None:
    """One episode.

    Args:
        job: what is played; its agent is asked for nothing.
        console: where it is printed.
        read: gives the next line that is typed, "" at the end of them.

    Returns:
        The episode; None where the lines ended before it did.

    Raises:
        OreoError: the environment cannot be made, or failed.
    """
    session = Session(job)
    try:
        session.begin()
        printed = _print(session, console, after=-1)
        while not session.playing.over:
            line = read()
            if not line:
                return None
            action = line.strip()
            if action == "?":
                commands = session.playing.episode.info.get("admissible_commands") or ()
                console.print("\n".join(sorted(commands)) or "this environment does not say what it accepts")
            elif action:
                session.person_step(action)
                printed = _print(session, console, after=printed)
        return session.trajectory()
    except UsageError as error:
        raise UsageError(f"{job.env}: {error}") from error
    finally:
        session.close()


def _print(session: Session, console: rich.console.Console, *, after: int) -> int:
    """Print what is new; returns the steps that are printed."""
    episode, info = session.playing.episode, session.playing.episode.info
    view = View(
        env_id=session.playing.rollout.env_id,
        agent=session.name,
        observation=episode.observation,
        task=str(info.get("task", "")),
        game=session.playing.game,
        steps=tuple(episode.steps),
        outcome=session.outcome,
    )
    for line in lines(view, after=after):
        console.print(line, markup=False, highlight=False, soft_wrap=True, emoji=False)
    return len(view.steps)
