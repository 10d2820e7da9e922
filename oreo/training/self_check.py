"""Are stored turns as likely to training as they were to the agent that said them?

An agent stores the log-probability of each turn it samples. Where the model that acted is the one that training starts
from, scoring these turns as training does has to give the same numbers, up to rounding. What is not the same between
acting and training (a chat template, an instruction, padding, positions, a cache, a window, a dtype, other tokens than
were sampled) shows up here, in nats.

Turns that were sampled at temperature 0 or 1 are compared, without a nucleus: their log-probabilities are the model's
own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from oreo.encoding.turn_format import Encoded, TurnFormat
from oreo.trajectory import Trajectory

MOST = 8
"""Episodes that are compared: enough to tell, few enough to cost next to nothing."""
TOLERANCE = 0.05
"""Nats by which a turn may be off on average. Float32 has 1e-5 for a small model, bfloat16 a hundredth a token."""
_TEMPERATURE = re.compile(r"\btemperature=([0-9.e+-]+)")

Score = Callable[[Sequence[Encoded]], Tensor]
"""Of sequences: [N, T] the log-probability of each action token, 0 elsewhere."""


@dataclass(frozen=True)
class Comparison:
    """How far stored and scored log-probabilities of turns are apart."""

    turns: int
    mean: float
    """|stored − scored| in nats, a turn."""
    largest: float

    @property
    def agrees(self) -> bool:
        return self.mean <= TOLERANCE

    def __str__(self) -> str:
        return f"{self.turns} stored turns scored again: off by {self.mean:.2g} nats each, {self.largest:.2g} at most"


def can_be_compared(trajectory: Trajectory, checkpoint: str) -> bool:
    """Whether this model said its turns, with log-probabilities of its own."""
    temperature = _TEMPERATURE.search(trajectory.agent)
    return (
        bool(checkpoint)
        and trajectory.checkpoint == checkpoint
        and temperature is not None
        and float(temperature[1]) in (0.0, 1.0)
        and "top_p=" not in trajectory.agent
        and any(step.log_prob is not None for step in trajectory.steps)
    )


def noting(
    trajectories: Iterable[Trajectory], checkpoint: str, noted: list[Trajectory], most: int = MOST
) -> Iterator[Trajectory]:
    """The same trajectories; the first few that can be compared are appended to `noted` as they go by."""
    for trajectory in trajectories:
        if len(noted) < most and can_be_compared(trajectory, checkpoint):
            noted.append(trajectory)
        yield trajectory


def compare(
    trajectories: Sequence[Trajectory], turn_format: TurnFormat, score: Score, max_length: int | None = None
) -> Comparison | None:
    """Score stored turns again.

    Args:
        turn_format: as training writes them.
        score: as training scores them.
        max_length: longer sequences are left out.

    Returns:
        None where nothing can be compared.
    """
    apart: list[float] = []
    for trajectory in trajectories:
        pieces = turn_format.split(trajectory, None)
        spoken = [step for step in trajectory.steps if turn_format.has_tokens(step)]
        if sum(int(piece.step_start.sum()) for piece in pieces) != len(spoken):
            continue
        if max_length is not None and max(map(len, pieces), default=0) > max_length:
            continue
        with torch.no_grad():
            scored = np.concatenate([_turns(*row) for row in zip(score(pieces), pieces, strict=True)])
        apart += [
            abs(float(now) - step.log_prob)
            for now, step in zip(scored, spoken, strict=True)
            if step.log_prob is not None and np.isfinite(step.log_prob)
        ]
    return Comparison(len(apart), float(np.mean(apart)), max(apart)) if apart else None


def _turns(log_probs: Tensor, piece: Encoded) -> np.ndarray:
    """[S] log-probabilities of the turns of a piece from those of its tokens."""
    tokens = log_probs[: len(piece)].double().cpu().numpy()[piece.action_mask]
    return np.add.reduceat(tokens, np.flatnonzero(piece.step_start[piece.action_mask]))
