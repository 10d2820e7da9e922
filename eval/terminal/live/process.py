"""The process that acts: it reads requests, a line of JSON each, and answers in such lines.

    {"do": "begin", "steps": […]}        reset, and take these steps again       → state
    {"do": "begin", "episode": 3}        another of the games of the seed        → state
    {"do": "agent"}                      the agent takes a step                  → stepped
    {"do": "person", "action": "look"}   a person's step                         → stepped
    {"do": "read"}                       every turn token by token               → read

What agent and environment print goes to standard error, which the screen shows in a log. The process ends when the pipe
to it does.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import traceback
import warnings
from typing import Any, BinaryIO

from oreo.errors import EngineError, OreoError
from oreo.eval.terminal.live.messages import Job, line, step_from_json, step_to_json
from oreo.eval.terminal.live.session import Session


def main() -> None:
    """Answer the requests of standard input on what was standard output."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the screen
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        warnings.showwarning = lambda message, *more, **others: print(f"warning: {message}", file=sys.stderr)
        serve(sys.stdin.buffer, answers)


def serve(requests: BinaryIO, answers: BinaryIO) -> None:
    """The first request is the job, in {"job": …}; see `oreo.eval.terminal.live.messages.Job`."""

    def tell(message: dict[str, Any]) -> None:
        answers.write(line(message))
        answers.flush()

    session: Session | None = None
    for request in requests:
        try:
            asked = json.loads(request)
            if session is None:
                session = Session(Job(**asked["job"]), lambda text: tell({"is": "loading", "what": text}))
                tell({"is": "ready", "agent": "" if session.agent is None else session.agent.name})
            else:
                tell(answer(session, asked))
        except OreoError as error:
            tell({"is": "failed", "message": str(error), "code": error.exit_code, "opened": session is not None})
        except Exception as error:  # of an agent's or environment's code: it costs this request, and is said
            traceback.print_exc()  # into the log
            message = f"{type(error).__name__}: {error}"
            tell({"is": "failed", "message": message, "code": 1, "opened": session is not None})
    if session is not None:
        session.close()


def answer(session: Session, asked: dict[str, Any]) -> dict[str, Any]:
    """What comes of a request.

    Raises:
        OreoError: it failed.
    """
    what = asked["do"]
    if what == "begin":
        steps = [step_from_json(step) for step in asked.get("steps", ())]
        session.begin(steps, asked.get("episode"))
        return {"is": "state", **_state(session), "steps": [step_to_json(step) for step in _steps(session)]}
    if what == "read":
        return {"is": "read", "turns": [dataclasses.asdict(turn) for turn in session.read_turns()]}
    if what == "agent":
        session.agent_step()
    elif what == "person":
        session.person_step(asked["action"])
    else:
        raise EngineError(f"no request is called {what!r}")
    recorded = _record(session)
    return {"is": "stepped", **_state(session), "step": step_to_json(_steps(session)[-1]), "recorded": recorded}


def _steps(session: Session) -> list[Any]:
    return session.playing.episode.steps


def _state(session: Session) -> dict[str, Any]:
    """What the screen has to know of an episode besides its steps."""
    from oreo.envs.text_env import step_limit

    playing = session.playing
    episode, over = playing.episode, playing.over
    info = episode.info
    trajectory = session.trajectory() if over else None
    return {
        "env_id": playing.rollout.env_id,
        "agent": session.name,
        "task": str(info.get("task", "")),
        "task_type": str(info.get("task_type", "")),
        "game": playing.game,
        "observation": episode.observation,
        "length": step_limit(episode.env),
        "outcome": session.outcome,
        "cut_off": over and not playing.terminated,
        "commands": list(info.get("admissible_commands") or ()),
        "world": session.worlds[-1],
        "worlds": session.worlds if len(episode.steps) == session.again else None,
        "differs": session.differs,
        "record": None if trajectory is None else _record_of(trajectory),
    }


def _record_of(trajectory: Any) -> dict[str, Any]:
    from oreo.data.records import to_record

    return to_record(trajectory)


def _record(session: Session) -> str | None:
    """Store an episode that has just ended, where that is wanted; the buffer's path."""
    path = session.job.record
    if path is None or not session.playing.over:
        return None
    from oreo.data.buffer import TrajectoryBuffer

    with TrajectoryBuffer(path) as buffer:
        buffer.append(session.trajectory())
    return path


if __name__ == "__main__":
    main()
