"""ETO's rollouts (arXiv 2403.02502), and OREO's, which are alike.

A rollout is a file a task: `meta {reward, steps, terminate_reason, error, …}` and `conversations`, with the instruction
and worked examples before the task itself. In ALFWorld `meta.error` holds the path of the game, and no error. An
episode is won, out of steps, cut off or lost, and `grade` says which of the last three.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from oreo.data.interchange.conversations import AGENT, Conversation, Message, instructions, take_apart
from oreo.data.interchange.endings import WHOLE, ended
from oreo.data.interchange.sharegpt import messages_of, rows_of, without_prefix
from oreo.data.interchange.spec import Format, Reading, Result, SetAside, besides, field, has, number
from oreo.trajectory import Trajectory

_TRIAL = "trial_"
"""Begins the last folder of the path of a game."""
_TASK = "Your task is to:"
_REFUSED = "Error Input"
"""What ETO answers to a turn without an action."""
OUT_OF_STEPS, CUT_OFF, LOST, INVALID = "out of steps", "cut off", "lost", "invalid"
"""Endings of episodes that are not won, as `grade` has them."""


def _read_rollout(row: Any, reading: Reading) -> Iterable[Result]:
    meta = field(row, "meta", dict)
    error = meta.get("error")
    game = error if isinstance(error, str) and _TRIAL in error else ""
    if error and not game:
        return [SetAside(f"the rollout ended by an error ({str(error).splitlines()[0]:.60})")]
    if meta.get("reward") is None:
        return [SetAside("the rollout has no reward: it did not come to its end")]
    reward = number(meta["reward"], "meta.reward")
    messages = messages_of(row)
    count = _examples(messages)
    messages, prefix = without_prefix(messages, count)
    grade = "" if reward >= WHOLE else _ending(meta)
    facts = besides(meta, "reward", "error" if game else "")
    return ended(
        _with_refusals(take_apart(messages, reading, count)),
        reading,
        reward,
        besides(row, "conversations", "meta"),
        prefix,
        {"meta": facts} if facts else {},
        over=grade in ("", LOST),
        game=game,
        grade=grade,
    )


def _ending(meta: dict[str, Any]) -> str:
    """How an episode that is not won ended. OREO's rollouts say of a last turn that it was none: invalid."""
    reason = meta.get("terminate_reason")
    if meta.get("invalid") is True:
        return INVALID
    if reason is None:
        return CUT_OFF
    return OUT_OF_STEPS if reason == "max_steps" else LOST


def _examples(messages: list[Message]) -> int:
    """How many messages stand before the task itself: instructions, and examples of other tasks."""
    tasks = [at for at, message in enumerate(messages) if message.speaker != AGENT and _TASK in message.text]
    return tasks[-1] if tasks else instructions(messages)


def _with_refusals(conversation: Conversation) -> Conversation:
    seen = [*(step.observation for step in conversation.steps), conversation.final_observation]
    steps = [
        replace(step, action_valid=False) if answer.startswith(_REFUSED) else step
        for step, answer in zip(conversation.steps, seen[1:], strict=True)
    ]
    return replace(conversation, steps=tuple(steps))


def _write(trajectories: Iterable[Trajectory]) -> Iterator[dict[str, Any]]:
    for trajectory in trajectories:
        (row,) = rows_of([trajectory])
        over = trajectory.won or trajectory.terminated
        told = trajectory.extra.get("meta")
        yield {
            "meta": {
                **(told if isinstance(told, dict) else {}),
                "reward": trajectory.episode_return,
                "steps": len(trajectory),
                "terminate_reason": "success" if over else None if trajectory.grade == CUT_OFF else "max_steps",
                "invalid": trajectory.grade == INVALID,
                "error": trajectory.game if _TRIAL in trajectory.game else None,
            },
            "conversations": row["conversations"],
        }


FORMAT = Format(
    name="eto-rollouts",
    about="rollouts of ETO and OREO, a file a task: meta {reward, error, steps, …}, conversations",
    fits=lambda row: has(row, "meta", "conversations") and has(row["meta"], "reward"),
    read=_read_rollout,
    write=_write,
    container="files",
)
