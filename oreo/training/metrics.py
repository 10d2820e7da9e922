"""Metrics of a value model while it is trained."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import NamedTuple


class TrajectoryValues(NamedTuple):
    """What a value model says of one trajectory, and how that ended."""

    start: float
    """V at the first action."""
    middle: float
    """V at the action in the middle, by count."""
    won: bool


def auc(scores: Sequence[float], won: Sequence[bool]) -> float | None:
    """Probability that a won trajectory scores above a lost one (ties count half); None without both kinds."""
    wins = sum(won)
    losses = len(won) - wins
    if not wins or not losses:
        return None
    ranked = sorted(zip(scores, won, strict=True), key=lambda pair: pair[0])
    rank_sum, below = 0.0, 0
    for _, tied in itertools.groupby(ranked, key=lambda pair: pair[0]):
        group = [is_won for _, is_won in tied]
        rank_sum += sum(group) * (below + (len(group) + 1) / 2)
        below += len(group)
    return (rank_sum - wins * (wins + 1) / 2) / (wins * losses)


def value_summary(recent: Iterable[TrajectoryValues]) -> dict[str, float | None]:
    """Mean V(s_0) of won and of lost trajectories, and the AUC of V for the outcome at the start and half-way."""
    recent = list(recent)
    if not recent:
        return {}
    starts, middles, won = zip(*recent, strict=True)

    def mean(outcome: bool) -> float | None:
        chosen = [start for start, is_won in zip(starts, won, strict=True) if is_won == outcome]
        return sum(chosen) / len(chosen) if chosen else None

    return {
        "value_start_won": mean(True),
        "value_start_lost": mean(False),
        "auc_start": auc(starts, won),
        "auc_middle": auc(middles, won),
    }
