"""What a trained value is worth: of states, and among the turns of one state (`oreo diagnose`).

Episodes are sampled by the policy. In each a state is drawn, in which other turns are said, and every turn is played on
several times by the policy in a world that was brought to this state (oreo.rollouts.branching).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from oreo.errors import DataError
from oreo.eval import diagnostics
from oreo.eval.siblings import Diagnosis, Sibling, diagnose
from oreo.files import read_json
from oreo.rollouts.branching import Beginning, drawn_step, text_of
from oreo.rollouts.loop import play
from oreo.rollouts.settings import Rollout
from oreo.trajectory import Trajectory

_FIRST_SAMPLE = 1000
"""Samples of a game as far from those that are collected."""


@dataclass(frozen=True)
class ValueDiagnosis:
    """Of one checkpoint."""

    checkpoint: str
    episodes: int
    success: float
    calibration: diagnostics.Calibration
    auc_by_step: list[float | None]
    states_by_step: list[int]
    residual: float | None
    """Mean square of V − Σ (r − βρ) over all steps (equation 7); None: nothing says what it was trained from."""
    siblings: Diagnosis

    def to_dict(self) -> dict[str, Any]:
        """JSON types only."""
        return {**asdict(self), "warning": self.siblings.warning}


def diagnose_value(
    checkpoint: str,
    *,
    env: str,
    env_kwargs: Mapping[str, Any],
    episodes: int,
    games: Sequence[str] | None,
    siblings: int = 5,
    continuations: int = 8,
    temperature: float = 1.0,
    max_steps: int | None = None,
    batch_size: int = 64,
    seed: int = 0,
    device: str | None = None,
    on_pass: Callable[[int], object] = lambda done: None,
) -> ValueDiagnosis:
    """Play, branch, play on, and compare.

    Args:
        checkpoint: what a training wrote: a policy and a value.
        episodes: of each of which one state is looked at.
        siblings: turns of a state, at most.
        continuations: of each of these.
        temperature: at which the policy samples.
        on_pass: called after each pass over the games, with their number so far; there are `passes(...)`.

    Raises:
        DataError: there is no value model; no state with two different turns.
        OreoError: whatever the environment or the models find wrong.
    """
    from oreo.agents.loading import load_agent
    from oreo.models.loading import load_policy, load_value, resolve_checkpoint

    loading: dict[str, Any] = {} if device is None else {"device": device}
    policy_path, value_path = resolve_checkpoint(checkpoint)
    if value_path is None:
        raise DataError(
            f"{checkpoint} has no value model to diagnose; train one by a method with a value, such as oreo"
        )
    value_model = load_value(value_path, **loading)
    agent = load_agent(checkpoint, temperature=temperature, **loading)
    rollout = Rollout(env, env_kwargs, seed, games, batch_size, max_steps)
    done = 0

    def played(sample: int, beginnings: Mapping[int, Beginning] | None = None) -> dict[int, Trajectory]:
        nonlocal done
        indices = range(episodes) if beginnings is None else list(beginnings)
        begin = None if beginnings is None else beginnings.__getitem__
        together = dict(play(replace(rollout, sample=_FIRST_SAMPLE + sample), agent, indices, beginnings=begin))
        done += 1
        on_pass(done)
        return together

    # 1) Episodes, and in each a state.
    trunks = played(0)
    at = {
        index: drawn_step(trunk, np.random.default_rng([seed, index]))
        for index, trunk in sorted(trunks.items())
        if trunk.steps
    }

    # 2) Different turns in it, each of which is played on once.
    families: dict[int, list[list[Trajectory]]] = {index: [[trunks[index]]] for index in at}
    for number in range(1, siblings):
        begin = {
            index: Beginning.of(trunks[index], at[index], (text_of(turn[0].steps[at[index]]) for turn in family))
            for index, family in families.items()
        }
        for index, branch in played(number, begin).items():
            said = [text_of(turn[0].steps[at[index]]) for turn in families[index]]
            if text_of(branch.steps[at[index]]) not in said:
                families[index].append([branch])

    # 3) More continuations of each, where there is something to compare.
    compared = {index: family for index, family in families.items() if len(family) > 1}
    for number in range(1, continuations):
        for place in range(siblings):
            begin = {
                index: Beginning.of(family[place][0], at[index] + 1)
                for index, family in compared.items()
                if place < len(family)
            }
            if begin:
                for index, branch in played(siblings + number * siblings + place, begin).items():
                    compared[index][place].append(branch)

    # 4) V after each turn, and of the states of the episodes.
    policy, tokenizer = load_policy(policy_path, **loading)
    turns = [(index, turn) for index, family in compared.items() for turn in family]
    after = diagnostics.values_after(
        [replace(turn[0], steps=turn[0].steps[: at[index] + 1]) for index, turn in turns], value_model, tokenizer
    )
    states: dict[int, list[Sibling]] = {}
    for (index, turn), value in zip(turns, after, strict=True):
        step = turn[0].steps[at[index]]
        won = tuple(continuation.won for continuation in turn)
        states.setdefault(index, []).append(
            Sibling(text_of(step), float(step.log_prob or 0.0), value, step.action_valid, won)
        )
    run = _run_of(checkpoint)
    reference = None if run is None else load_policy(run["model"], **loading)[0]
    beta = None if run is None else run.get("beta")
    ordered = [trunks[index] for index in at]
    of_states, gains = diagnostics.soft_bellman_terms(
        ordered, policy, value_model, reference or policy, tokenizer, beta=beta or 0.0
    )
    outcome = [trunk.won for trunk in ordered]
    residual = None
    if reference is not None and beta is not None:
        by_step = diagnostics.residual_by_step(of_states, gains)
        counts = diagnostics.states_by_step(of_states)
        residual = float(np.average([number or 0.0 for number in by_step], weights=counts))
    return ValueDiagnosis(
        checkpoint=checkpoint,
        episodes=len(ordered),
        success=sum(outcome) / len(outcome),
        calibration=diagnostics.calibration(of_states, outcome),
        auc_by_step=diagnostics.auc_by_step(of_states, outcome),
        states_by_step=diagnostics.states_by_step(of_states),
        residual=residual,
        siblings=diagnose(list(states.values()), beta=beta, seed=seed),
    )


def passes(siblings: int, continuations: int) -> int:
    """How often the games are played at most, in part or whole."""
    return siblings + (continuations - 1) * siblings


def _run_of(checkpoint: str) -> dict[str, Any] | None:
    """The settings of the training that wrote a folder; None: it is of no training that has a value."""
    config = Path(checkpoint).expanduser() / "config.json"
    settings = read_json(config) if config.is_file() else None
    if not isinstance(settings, dict) or not isinstance(settings.get("model"), str):
        return None
    if not isinstance(settings.get("beta"), int | float | None):
        raise DataError(f"{config}: beta is {settings['beta']!r}; expected a number")
    return settings
