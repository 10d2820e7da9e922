"""Does a value model know which of several turns is the better one? Siblings are turns of one state.

What V of states says (oreo.eval.diagnostics) is another question: a value that knows where it stands need not know what
a turn is about to do. Choosing among sampled turns asks that of it. The truth is what comes of each of them: it is
played on several times by the policy itself.

Everything here is arithmetic; `oreo.experiments.diagnose` plays.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from oreo.errors import DataError

APART = 0.35
"""Siblings whose success differs by as much are told apart by a few continuations each."""


@dataclass(frozen=True)
class Sibling:
    """A turn, and what came of it."""

    text: str
    log_prob: float
    """log π(turn|s)."""
    value: float
    """V after it, read where candidates are compared: before the token that ends the turn."""
    accepted: bool | None
    """Whether the environment took the action; None: it does not say."""
    won: tuple[bool, ...]
    """Of each continuation."""

    @property
    def success(self) -> float:
        return sum(self.won) / len(self.won)


State = Sequence[Sibling]
"""Different turns of one state."""


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval, by a bootstrap over states."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Ranking:
    """How often two siblings are told apart rightly; ties count half."""

    pairs: int
    by_value: Estimate | None
    """None: there are no such pairs."""
    by_log_prob: Estimate | None


@dataclass(frozen=True)
class Diagnosis:
    """What choosing among siblings by V is worth."""

    states: int
    siblings: int
    continuations: int
    accepted: Ranking
    """Of pairs of which the environment refused one: whether the other is preferred."""
    better: Ranking
    """Of pairs whose success differs by `APART` or more: whether the better one is preferred."""
    correlation: float | None
    """Of V and success over all siblings; None where either does not vary."""
    gains: dict[str, Estimate]
    """Success gained in a state by saying the turn of highest V ("value"), of highest π ("log_prob"), of highest
    log π + V/β ("both"), or the best one ("oracle", without bias), over saying what π says."""

    @property
    def warning(self) -> str | None:
        """Why not to be guided by this value; None: nothing speaks against it."""
        by_value, by_log_prob = self.gains["value"], self.gains["log_prob"]
        if by_value.high < 0:
            return "choosing among sampled turns by this value loses games"
        if by_value.mean < by_log_prob.mean:
            return "choosing among sampled turns by this value gains less than choosing the likeliest of them"
        return None


def diagnose(states: Sequence[State], *, beta: float | None = None, seed: int = 0) -> Diagnosis:
    """Compare V and log π among siblings with what came of them.

    Args:
        states: each with two different turns or more, each of which was played on as often as any other.
        beta: the β of the policy's training, for log π + V/β, which the optimal policy is; None: leave that out.
        seed: of the bootstrap.

    Raises:
        DataError: no state has two siblings.
    """
    states = [state for state in states if len(state) > 1]
    if not states:
        raise DataError("in no state were there two different turns to compare; give a higher temperature")
    siblings = [sibling for state in states for sibling in state]
    bootstrap = _Bootstrap(len(states), seed)
    ways: dict[str, Callable[[Sibling], float]] = {"value": _value, "log_prob": _log_prob}
    if beta:
        ways["both"] = lambda sibling: sibling.log_prob + sibling.value / beta
    gains = {name: bootstrap.mean([[gain(state, way)] for state in states]) for name, way in ways.items()}
    gains["oracle"] = bootstrap.mean([[oracle_gain(state)] for state in states])
    return Diagnosis(
        states=len(states),
        siblings=len(siblings),
        continuations=min(len(sibling.won) for sibling in siblings),
        accepted=_ranking(states, _accepted_first, bootstrap),
        better=_ranking(states, _better_first, bootstrap),
        correlation=_correlation([s.value for s in siblings], [s.success for s in siblings]),
        gains={name: estimate for name, estimate in gains.items() if estimate is not None},
    )


def gain(state: State, way: Callable[[Sibling], float]) -> float:
    """Success of the sibling that ranks highest, less that of what the policy says (its siblings by their π)."""
    chosen = max(state, key=way)
    return chosen.success - _success_of_policy(state)


def oracle_gain(state: State) -> float:
    """What could be gained: the best sibling is told by one half of the continuations and judged by the other.

    0 with one continuation, which has no halves.
    """
    if min(len(sibling.won) for sibling in state) < 2:
        return 0.0
    halves, gains = (slice(0, None, 2), slice(1, None, 2)), []
    for telling, judging in (halves, halves[::-1]):
        best = max(state, key=lambda sibling: _mean(sibling.won[telling]))
        gains.append(_mean(best.won[judging]) - _success_of_policy(state, judging))
    return sum(gains) / 2


def _success_of_policy(state: State, part: slice = slice(None)) -> float:
    weights = np.exp([sibling.log_prob - max(s.log_prob for s in state) for sibling in state])
    return float(np.average([_mean(sibling.won[part]) for sibling in state], weights=weights))


def _mean(won: Sequence[bool]) -> float:
    return sum(won) / len(won)


def _value(sibling: Sibling) -> float:
    return sibling.value


def _log_prob(sibling: Sibling) -> float:
    return sibling.log_prob


def _accepted_first(one: Sibling, other: Sibling) -> tuple[Sibling, Sibling] | None:
    if one.accepted is None or other.accepted is None or one.accepted == other.accepted:
        return None
    return (one, other) if one.accepted else (other, one)


def _better_first(one: Sibling, other: Sibling) -> tuple[Sibling, Sibling] | None:
    if abs(one.success - other.success) < APART:
        return None
    return (one, other) if one.success > other.success else (other, one)


def _ranking(
    states: Sequence[State],
    ordered: Callable[[Sibling, Sibling], tuple[Sibling, Sibling] | None],
    bootstrap: _Bootstrap,
) -> Ranking:
    pairs = [
        [pair for both in itertools.combinations(state, 2) if (pair := ordered(*both)) is not None] for state in states
    ]

    def right(way: Callable[[Sibling], float]) -> Estimate | None:
        return bootstrap.mean([[_before(way(first), way(second)) for first, second in of] for of in pairs])

    return Ranking(sum(map(len, pairs)), right(_value), right(_log_prob))


def _before(first: float, second: float) -> float:
    return 0.5 if first == second else float(first > second)


def _correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    if np.ptp(one) == 0 or np.ptp(other) == 0:
        return None
    return float(np.corrcoef(one, other)[0, 1])


class _Bootstrap:
    """Means over whatever the states have, with percentiles over draws of states."""

    def __init__(self, states: int, seed: int, draws: int = 2000) -> None:
        random = np.random.default_rng(seed)
        self.counts = random.multinomial(states, np.full(states, 1 / states), size=draws)
        """[draws, states] how often each is drawn."""

    def mean(self, rows: Sequence[Sequence[float]]) -> Estimate | None:
        """Of all entries; None: there are none."""
        totals, sizes = np.array([sum(row) for row in rows]), np.array([len(row) for row in rows])
        if not sizes.sum():
            return None
        drawn = self.counts @ sizes
        means = (self.counts @ totals)[drawn > 0] / drawn[drawn > 0]
        low, high = np.quantile(means, [0.025, 0.975])
        return Estimate(float(totals.sum() / sizes.sum()), float(low), float(high))
