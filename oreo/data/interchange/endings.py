"""How an episode ended, for formats that pay a conversation once, at its end; and what of it they have no place for.

    return ended(take_apart(messages, reading), reading, reward, besides(row, "messages", "reward"))

An episode is won whose reward is whole. Where nothing is said of how it came to an end, a won one ended in the world,
and any other was cut off.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from oreo.data.interchange.conversations import Conversation
from oreo.data.interchange.spec import Episode, Reading, Result, SetAside, joined, number
from oreo.trajectory import Step, Trajectory

WHOLE = 1.0
"""The reward of an episode that is won; what is below it is not."""
NO_TURN = "it has no turn of an agent"
INFO = "oreo"
"""Under this name, in whatever a format has for its users' own fields, what it has no place for."""
_TEXTS = ("env_id", "game", "task", "task_type", "dialect", "grade", "agent", "checkpoint", "created")
_FLAGS = ("won", "terminated", "truncated")


def ended(
    conversation: Conversation,
    reading: Reading,
    reward: float | None,
    *made: dict[str, Any],
    over: bool | None = None,
    told: Any = None,
    **facts: Any,
) -> list[Result]:
    """The episode of a conversation; set aside where nobody acts in it.

    Args:
        reward: paid for its last step; None: nothing says how it ended.
        made: for `extra`: the fields that a row has besides, and what its reader made of it.
        over: whether it ended in the world and was not cut off; None: if it was won.
        told: what `told_of` wrote, if anything.
        facts: other fields of the trajectory.
    """
    if not conversation.steps:
        return [SetAside(NO_TURN)]
    won = (reward or 0.0) >= WHOLE
    terminated = won if over is None else over
    fields, *others = made or ({},)
    tokens = any(step.token_ids is not None for step in conversation.steps)
    trajectory = Trajectory(
        reading.env,
        with_outcome(conversation.steps, reward or 0.0),
        conversation.final_observation,
        terminated=terminated,
        truncated=not terminated,
        won=won,
        tokenizer=reading.tokenizer if tokens else "",
        extra=joined(fields, conversation.extra, *others),
        **facts,
    )
    return [Episode(_with_told(trajectory, told), reward is not None or isinstance(told, dict))]


def with_outcome(steps: Iterable[Step], reward: float) -> tuple[Step, ...]:
    """The steps with a reward paid for the last one."""
    steps = tuple(steps)
    return (*steps[:-1], replace(steps[-1], reward=reward)) if steps else steps


def told_of(trajectory: Trajectory) -> dict[str, Any]:
    """What these formats have no place for, in JSON types."""
    return {
        **{name: getattr(trajectory, name) for name in (*_TEXTS, *_FLAGS, "seed")},
        "rewards": [step.reward for step in trajectory.steps],
    }


def _with_told(trajectory: Trajectory, told: Any) -> Trajectory:
    """The inverse; what is not as `told_of` writes it is left alone."""
    if not isinstance(told, dict):
        return trajectory
    rewards = told.get("rewards")
    if isinstance(rewards, list) and len(rewards) == len(trajectory.steps):
        rewards = [number(reward, f"{INFO}.rewards[{at}]") for at, reward in enumerate(rewards)]
        paid = tuple(replace(step, reward=reward) for step, reward in zip(trajectory.steps, rewards, strict=True))
        trajectory = replace(trajectory, steps=paid)
    facts = {name: told[name] for name in _TEXTS if isinstance(told.get(name), str)}
    facts |= {name: told[name] for name in _FLAGS if isinstance(told.get(name), bool)}
    if type(told.get("seed")) is int:
        facts["seed"] = told["seed"]
    if trajectory.env_id:  # what whoever imports says of it
        facts.pop("env_id", None)
    return replace(trajectory, **facts)
