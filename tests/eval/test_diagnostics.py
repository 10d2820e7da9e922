"""Value diagnostics against their definitions, written out over single states and pairs of episodes."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.errors import DataError, UsageError
from oreo.eval.diagnostics import (
    auc_by_step,
    calibration,
    padded,
    residual_by_step,
    soft_bellman_terms,
    states_by_step,
    stored_values,
)
from oreo.trajectory import Trajectory

# Quarters make ties and values on the edges of bins; some lie outside 0 … 1.
numbers = st.integers(-2, 6).map(lambda n: n / 4)
episodes = st.lists(st.tuples(st.lists(numbers, min_size=1, max_size=5), st.booleans()), min_size=1, max_size=12)


@given(episodes, st.integers(1, 7))
def test_calibration_is_the_mean_over_states_of_what_their_bin_is_off(
    played: list[tuple[list[float], bool]], bins: int
) -> None:
    states = [(value, won) for values, won in played for value in values]

    def bin_of(value: float) -> int:
        return next((index for index in range(bins) if value <= (index + 1) / bins), bins - 1)

    error = 0.0
    for value, _ in states:
        beside = [state for state in states if bin_of(state[0]) == bin_of(value)]
        mean, rate = np.mean([value for value, _ in beside]), np.mean([won for _, won in beside])
        error += abs(mean - rate) / len(states)
    measured = calibration(padded([values for values, _ in played]), [won for _, won in played], bins)
    assert measured.error == pytest.approx(error)
    assert sum(measured.states) == len(states) and len(measured.states) == len({bin_of(value) for value, _ in states})
    assert np.dot(measured.mean_value, measured.states) == pytest.approx(sum(value for value, _ in states))
    assert np.dot(measured.success, measured.states) == pytest.approx(sum(won for _, won in states))


def test_a_value_that_is_the_success_rate_has_no_calibration_error_and_one_that_is_off_has_that() -> None:
    won = [True] * 7 + [False] * 3
    assert calibration(np.full((10, 1), 0.7), won).error == pytest.approx(0)
    assert calibration(np.full((10, 1), 0.9), won).error == pytest.approx(0.2)
    assert calibration(np.full((10, 1), 1.5), won).error == pytest.approx(0.8), "counted as it is, not cut to 1"


@settings(deadline=None)  # the first of them waits for torch
@given(episodes)
def test_auc_by_step_counts_pairs_of_a_won_and_a_lost_episode_that_both_come_so_far(
    played: list[tuple[list[float], bool]],
) -> None:
    areas = auc_by_step(padded([values for values, _ in played]), [won for _, won in played])
    assert len(areas) == max(len(values) for values, _ in played)
    for step, auc in enumerate(areas):
        at_step = [(values[step], won) for values, won in played if len(values) > step]
        pairs = [(a, b) for a, a_won in at_step if a_won for b, b_won in at_step if not b_won]
        if pairs:
            assert auc == pytest.approx(np.mean([(a > b) + 0.5 * (a == b) for a, b in pairs]))
        else:
            assert auc is None


@given(st.lists(st.lists(st.tuples(numbers, numbers), min_size=1, max_size=5), min_size=1, max_size=8))
def test_the_residual_by_step_is_v_minus_all_that_is_still_to_be_gained(
    played: list[list[tuple[float, float]]],
) -> None:
    value, gain = (padded([[pair[part] for pair in episode] for episode in played]) for part in (0, 1))
    residuals = residual_by_step(value, gain)
    assert states_by_step(value) == [sum(len(episode) > step for episode in played) for step in range(len(residuals))]
    for step, residual in enumerate(residuals):
        squares = [
            (episode[step][0] - sum(gained for _, gained in episode[step:])) ** 2
            for episode in played
            if len(episode) > step
        ]
        assert residual == pytest.approx(np.mean(squares))


def test_arrays_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match=r"\(2, 1\) and \(3,\)"):
        calibration(np.zeros((2, 1)), [True] * 3)
    with pytest.raises(UsageError, match="1 or more"):
        calibration(np.zeros((2, 1)), [True] * 2, bins=0)
    with pytest.raises(UsageError, match="no state"):
        calibration(np.full((2, 1), np.nan), [True] * 2)
    with pytest.raises(UsageError, match=r"\(2,\) and \(3,\)"):
        auc_by_step(np.zeros(2), [True] * 3)
    with pytest.raises(UsageError, match="same episodes"):
        residual_by_step(np.zeros((2, 1)), np.full((2, 1), np.nan))


@pytest.fixture(scope="module")
def models() -> dict[str, Any]:
    """The tiny model as reference, a policy a little away from it, and a value with a head that is not zero."""
    import torch

    from oreo.models.loading import load_policy, load_reference, load_value

    policy, tokenizer = load_policy("tiny")
    reference, value = load_reference(policy), load_value("tiny")
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter += 0.01 * torch.randn_like(parameter)
        for name, parameter in value.named_parameters():
            if not name.startswith(f"{value.base_model_prefix}."):
                parameter += 0.1 * torch.randn_like(parameter)
    return {"policy": policy, "value": value, "reference": reference, "tokenizer": tokenizer}


@pytest.fixture(scope="module")
def played(models: dict[str, Any]) -> list[Trajectory]:
    from oreo.agents.language_model import LanguageModelAgent
    from oreo.agents.reading import EpisodeReader
    from oreo.rollouts.loop import rollout

    agent = LanguageModelAgent(EpisodeReader(models["policy"], models["tokenizer"], value=models["value"]))
    kwargs = {"split": "generated_unseen"}
    return rollout("oreo/ALFWorld-v0", agent=agent, episodes=4, max_steps=6, env_kwargs=kwargs)


def test_values_by_the_models_are_those_that_the_agent_noted(models: dict[str, Any], played: list[Trajectory]) -> None:
    value, _ = soft_bellman_terms(played, **models, beta=0.03)
    assert np.nanstd(value) > 0.01
    np.testing.assert_allclose(value, stored_values(played), atol=1e-4)


def test_gains_are_rewards_minus_beta_times_the_log_ratio_of_the_turn(
    models: dict[str, Any], played: list[Trajectory]
) -> None:
    """The policy that acted noted log π; the reference's comes from letting it be the policy."""
    beta = 0.5
    _, gain = soft_bellman_terms(played, **models, beta=beta)
    # β = 1 with the reference as policy and the other as reference is the same with the other sign.
    swapped = {**models, "policy": models["reference"], "reference": models["policy"]}
    _, other = soft_bellman_terms(played, **swapped, beta=beta)
    _, unmoved = soft_bellman_terms(played, **{**models, "policy": models["reference"]}, beta=beta)
    reward = padded([[step.reward for step in episode.steps] for episode in played])
    np.testing.assert_allclose(unmoved, reward)
    np.testing.assert_allclose(gain - reward, reward - other, atol=1e-4)
    by_hand = _turn_log_probs(models["reference"], models["tokenizer"], played[0])
    noted = np.array([step.log_prob for step in played[0].steps], dtype=float)
    expected = reward[0, : len(noted)] - beta * (noted - by_hand)
    np.testing.assert_allclose(gain[0, : len(noted)], expected, atol=1e-3)
    assert np.abs(noted - by_hand).max() > 0.01


def _turn_log_probs(model: Any, tokenizer: Any, trajectory: Trajectory) -> np.ndarray:
    """Turn by turn, from full logits."""
    import torch

    from oreo.encoding.turn_format import TurnFormat

    turn_format = TurnFormat.from_tokenizer(tokenizer)
    sums = []
    for index, step in enumerate(trajectory.steps):
        before = turn_format.history(trajectory.steps[:index], step.observation)
        turn = turn_format.turn(step.text)
        with torch.no_grad():
            logits = model(input_ids=torch.tensor([before + turn])).logits[0].log_softmax(-1)
        sums.append(sum(float(logits[len(before) + place - 1, token]) for place, token in enumerate(turn)))
    return np.array(sums)


def test_episodes_without_values_are_refused(played: list[Trajectory]) -> None:
    bare = dataclasses.replace(played[0], steps=tuple(dataclasses.replace(s, value=None) for s in played[0].steps))
    with pytest.raises(DataError, match="no values"):
        stored_values([bare])
