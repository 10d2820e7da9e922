"""The trajectories of TALES (arXiv 2504.14128), as the Hub has them: Parquet, in it JSON texts.

`turns` holds the messages, and `score_progression` names the steps, counted from 1, after which the score is another
one; rewards are its differences. An episode is won that has the whole score at its end. `seed` is that of the game.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from oreo.data.interchange.chat import read_messages
from oreo.data.interchange.conversations import take_apart
from oreo.data.interchange.endings import NO_TURN
from oreo.data.interchange.spec import (
    Episode,
    Format,
    Misfit,
    Reading,
    Result,
    SetAside,
    besides,
    checked,
    field,
    has,
    joined,
    number,
    parsed,
)
from oreo.trajectory import Step, Trajectory


def _read(row: Any, reading: Reading) -> Iterable[Result]:
    conversation = take_apart(read_messages(_list(row, "turns"), "turns"), reading)
    if not conversation.steps:
        return [SetAside(NO_TURN)]
    score, most = number(field(row, "score", float), "score"), number(field(row, "max_score", float), "max_score")
    won = score >= most > 0
    agent = "/".join(str(row[name]) for name in ("model", "agent_type") if row.get(name))
    trajectory = Trajectory(
        reading.env,
        _paid(conversation.steps, _list(row, "score_progression"), score),
        conversation.final_observation,
        terminated=won,
        truncated=not won,
        won=won,
        game=field(row, "game", str),
        seed=checked(row.get("seed"), "seed", (int, type(None))),
        agent=agent,
        extra=joined(besides(row, "turns", "score", "score_progression", "game", "seed"), conversation.extra),
    )
    return [Episode(trajectory)]


def _list(row: Any, name: str) -> list[Any]:
    return list(checked(parsed(field(row, name, (str, list)), name), name, list))


def _paid(steps: tuple[Step, ...], progression: list[Any], score: float) -> tuple[Step, ...]:
    rewards = [0.0] * len(steps)
    before = 0.0
    for at, change in enumerate(progression):
        where = f"score_progression[{at}]"
        step, after = field(change, "step", int, where), number(field(change, "score", float, where), f"{where}.score")
        if not 1 <= step <= len(steps):
            raise Misfit(f"{where}.step is {step}, and the episode has {len(steps)} turns")
        rewards[step - 1] += after - before
        before = after
    if before != score:
        raise Misfit(f"score is {score:g}, and score_progression ends with {before:g}")
    return tuple(replace(step, reward=reward) for step, reward in zip(steps, rewards, strict=True))


FORMAT = Format(
    name="tales",
    about="TALES' trajectories on the Hub, Parquet: game, turns, score, max_score, score_progression, seed",
    fits=lambda row: has(row, "turns", "score_progression", "game"),
    read=_read,
)
