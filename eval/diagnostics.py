"""Is a value model right? Calibration, how well V(s_t) tells won episodes from lost ones, and how far V is from the
soft Bellman equation, by step.

N episodes of at most S steps. Arrays over them are [N, S] floats, NaN behind an episode's last step, so that one array
holds episodes of any length. `stored_values` takes V from what the agent noted; `soft_bellman_terms` computes it, and
what the residual needs, with the models. The rest is arithmetic. Late steps have few episodes, and those that were won
early are not among them: read a figure by step beside its count.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from oreo.errors import DataError, UsageError
from oreo.training.metrics import auc
from oreo.trajectory import Trajectory

_TOKENS = 4096
"""Padding included, in one forward pass."""


@dataclass(frozen=True)
class Calibration:
    """What was expected of states against what came of them, in bins of V. Only bins that hold a state."""

    mean_value: tuple[float, ...]
    success: tuple[float, ...]
    """Share of the bin's states whose episode was won."""
    states: tuple[int, ...]
    error: float
    """Expected calibration error: mean |mean V − success| over the bins, weighted by their states."""


def calibration(value: np.ndarray, won: Sequence[bool], bins: int = 10) -> Calibration:
    """Measure whether V says how likely success is.

    C. Guo et al. (2017), On Calibration of Modern Neural Networks, section 2. Bins are equally wide from 0 to 1, the
    upper edge included; a V below 0 or above 1 counts, as it is, in the first or the last.

    Args:
        value: [N, S] V(s_t).
        won: [N].
        bins: how many.
    Raises:
        UsageError: no states, no bins, or arrays that do not fit.
    """
    value, outcome = _checked(value, won)
    if bins < 1:
        raise UsageError(f"bins is {bins}; expected 1 or more")
    is_state = ~np.isnan(value)
    if not is_state.any():
        raise UsageError("there is no state to calibrate on")
    flat, success = value[is_state], np.broadcast_to(outcome[:, None], value.shape)[is_state]
    # (b/bins, (b+1)/bins]: ceil puts an upper edge into the lower bin.
    place = np.clip(np.ceil(flat * bins) - 1, 0, bins - 1).astype(int)
    in_bins = [place == index for index in range(bins) if (place == index).any()]
    means, rates = (
        [float(flat[in_bin].mean()) for in_bin in in_bins],
        [float(success[in_bin].mean()) for in_bin in in_bins],
    )
    counts = [int(in_bin.sum()) for in_bin in in_bins]
    error = sum(count * abs(mean - rate) for count, mean, rate in zip(counts, means, rates, strict=True)) / len(flat)
    return Calibration(tuple(means), tuple(rates), tuple(counts), error)


def auc_by_step(value: np.ndarray, won: Sequence[bool]) -> list[float | None]:
    """[S] probability that at step t a won episode has a higher V(s_t) than a lost one; ties count half.

    None where the episodes that come so far are all won, or all lost.
    """
    value, outcome = _checked(value, won)
    steps = []
    for column in value.T:
        has_step = ~np.isnan(column)
        steps.append(auc(column[has_step].tolist(), outcome[has_step].astype(bool).tolist()))
    return steps


def residual_by_step(value: np.ndarray, gain: np.ndarray) -> list[float | None]:
    """[S] mean square over episodes of V(s_t) − Σ_{i≥t} (r_i − β ρ_i): how far V and policy are from the telescoped
    soft Bellman equation (arXiv 2412.16145, equation 7), which the best of them meet on any episode.

    Args:
        value: [N, S] V(s_t).
        gain: [N, S] r_t − β ρ_t, ρ_t the log-ratio of the whole turn.
    Raises:
        UsageError: arrays that do not fit.
    """
    if value.ndim != 2 or value.shape != gain.shape or (np.isnan(value) != np.isnan(gain)).any():
        raise UsageError(f"expected two [N, S] arrays of the same episodes, got {value.shape} and {gain.shape}")
    target = np.cumsum(np.nan_to_num(gain)[:, ::-1], axis=1)[:, ::-1]
    return [_mean(column) for column in np.square(value - target).T]


def states_by_step(value: np.ndarray) -> list[int]:
    """[S] episodes that have a step t."""
    return (~np.isnan(value)).sum(0).tolist()


def stored_values(trajectories: Sequence[Trajectory]) -> np.ndarray:
    """[N, S] the values that the agent noted as it played.

    Raises:
        DataError: an agent without a value model played them.
    """
    for trajectory in trajectories:
        if any(step.value is None for step in trajectory.steps):
            raise DataError(
                f"{trajectory!r} has no values; let an agent with a value model play (of method oreo or dqo)"
            )
    return padded([[float(step.value or 0.0) for step in trajectory.steps] for trajectory in trajectories])


def soft_bellman_terms(
    trajectories: Sequence[Trajectory], policy: Any, value: Any, reference: Any, tokenizer: Any, *, beta: float
) -> tuple[np.ndarray, np.ndarray]:
    """V(s_t) and r_t − β ρ_t of every step, by the models, as training would see the episodes.

    Args:
        trajectories: N of them.
        policy, reference: causal language models; ρ_t = log π(turn_t|s_t) − log π_ref(turn_t|s_t), at temperature 1.
        value: a token-classification model with one label.
        tokenizer: of all three.
        beta: what the policy was trained with.
    Returns:
        [N, S] values and [N, S] gains; of an episode that outgrew its agent's context, as it was told of it.
    """
    import torch

    from oreo.encoding.turn_format import TurnFormat
    from oreo.models.loading import device_of
    from oreo.models.scorers import Policy, Value
    from oreo.training.batches import collate, micro_batches
    from oreo.training.losses import merge_steps

    turn_format = TurnFormat.from_tokenizer(tokenizer)
    pieces = [(index, piece) for index, t in enumerate(trajectories) for piece in turn_format.split(t, None)]
    encoded = [piece for _, piece in pieces]
    scorer, critic, other = Policy(policy), Value(value), Policy(reference)
    of_pieces: list[tuple[list[float], list[float]]] = [([], []) for _ in encoded]
    with torch.inference_mode():
        for rows in micro_batches(range(len(encoded)), [[len(tokens)] for tokens in encoded], _TOKENS):
            batch = collate([encoded[row] for row in rows], int(tokenizer.eos_token_id or 0)).to(device_of(policy))
            log_prob, reference_log_prob, _ = scorer(batch.input_ids, batch.action_mask, reference=other, kl=False)
            log_ratio, reward, start = merge_steps(
                log_prob - reference_log_prob, batch.reward, batch.action_mask, batch.step_start
            )
            before, gain = critic(batch.input_ids, batch.action_mask), reward - beta * log_ratio
            for place, row in enumerate(rows):
                of_pieces[row] = (before[place][start[place]].tolist(), gain[place][start[place]].tolist())
    values: list[list[float]] = [[] for _ in trajectories]
    gains: list[list[float]] = [[] for _ in trajectories]
    for (index, _), (piece_values, piece_gains) in zip(pieces, of_pieces, strict=True):
        values[index] += piece_values
        gains[index] += piece_gains
    return padded(values), padded(gains)


def values_after(trajectories: Sequence[Trajectory], value: Any, tokenizer: Any) -> list[float]:
    """V after the last turn of each, read where candidates are compared: before the token that ends the turn.

    Args: as `soft_bellman_terms`.
    """
    import torch

    from oreo.encoding.turn_format import TurnFormat
    from oreo.models.loading import device_of
    from oreo.models.scorers import Value
    from oreo.training.batches import collate, micro_batches

    turn_format = TurnFormat.from_tokenizer(tokenizer)
    encoded = [turn_format.split(trajectory, None)[-1] for trajectory in trajectories]
    critic, values = Value(value), [0.0] * len(encoded)
    with torch.inference_mode():
        for rows in micro_batches(range(len(encoded)), [[len(tokens)] for tokens in encoded], _TOKENS):
            batch = collate([encoded[row] for row in rows], int(tokenizer.eos_token_id or 0)).to(device_of(value))
            of_tokens = critic(batch.input_ids, batch.action_mask)
            for place, row in enumerate(rows):
                values[row] = float(of_tokens[place, int(np.flatnonzero(encoded[row].action_mask)[-1])])
    return values


def padded(rows: Sequence[Sequence[float]]) -> np.ndarray:
    """[N, S] from N rows of their own lengths, NaN behind them."""
    array = np.full((len(rows), max(map(len, rows), default=0)), np.nan)
    for index, row in enumerate(rows):
        array[index, : len(row)] = row
    return array


def _mean(column: np.ndarray) -> float | None:
    numbers = column[~np.isnan(column)]
    return float(numbers.mean()) if len(numbers) else None


def _checked(value: np.ndarray, won: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    outcome = np.asarray(won, dtype=float)
    if value.ndim != 2 or outcome.shape != value.shape[:1]:
        raise UsageError(f"expected [N, S] values and [N] outcomes, got {value.shape} and {outcome.shape}")
    return value, outcome
