"""oreo.training.methods.advantage_weighted: AWR and IQL against their formulas and what these have for a minimum."""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from helpers.small_models import rollouts
from helpers.training import a_run, gradient
from oreo.encoding.turn_format import TurnFormat
from oreo.errors import UsageError
from oreo.models.loading import load_policy, load_value
from oreo.training.batches import collate
from oreo.training.losses import lambda_return
from oreo.training.methods.advantage_weighted import at_step_start, expectile_loss
from oreo.trajectory import Trajectory

torch.set_num_threads(1)


def returns_by_hand(
    reward: list[float], value: list[float], start: list[bool], lambda_: float, gamma: float
) -> list[float]:
    """TD(λ) over turns, from the back: inside a turn rewards add up, at its end bootstrap and rest are mixed."""
    target, later = [0.0] * len(reward), 0.0
    for at in reversed(range(len(reward))):
        if at + 1 < len(reward) and start[at + 1]:
            later = gamma * ((1 - lambda_) * value[at + 1] + lambda_ * target[at + 1])
        target[at] = reward[at] + later
        later = target[at]
    return target


@pytest.mark.parametrize(("lambda_", "gamma"), [(1.0, 1.0), (0.0, 1.0), (0.7, 0.9), (0.95, 1.0)])
def test_lambda_returns_are_those_of_the_recursion_and_know_no_reference(lambda_: float, gamma: float) -> None:
    random = np.random.default_rng(3)
    start = [True, False, False, True, True, False, True]
    reward, value = random.normal(size=(2, len(start)))
    tensors = [torch.tensor(row, dtype=torch.float64)[None] for row in (reward, value)]
    begins = torch.tensor(start)[None]
    found = lambda_return(*tensors, torch.ones_like(begins), step_start=begins, lambda_=lambda_, gamma=gamma)
    assert found[0].tolist() == pytest.approx(returns_by_hand([*reward], [*value], start, lambda_, gamma))


@pytest.mark.parametrize("expectile", [0.5, 0.7, 0.9])
def test_the_value_is_the_expectile_of_the_outcomes(expectile: float) -> None:
    """Of wins with a share p, τ (1 − V) p = (1 − τ) V (1 − p)."""
    outcomes = torch.tensor([[1.0], [0.0], [0.0], [1.0], [0.0]], dtype=torch.float64)
    value = nn.Parameter(torch.zeros(1, 1, dtype=torch.float64))
    optimizer = torch.optim.SGD([value], lr=0.3)
    for _ in range(300):
        optimizer.zero_grad()
        expectile_loss(value.expand(5, 1), outcomes, torch.ones(5, 1, dtype=torch.bool), expectile=expectile)[
            0
        ].backward()
        optimizer.step()
    share = 0.4
    assert value.item() == pytest.approx(expectile * share / (expectile * share + (1 - expectile) * (1 - share)))


@pytest.mark.parametrize("expectile", [0.0, 1.0, -1.0, math.nan])
def test_an_expectile_lies_between_0_and_1(expectile: float) -> None:
    with pytest.raises(UsageError, match="expectile is"):
        expectile_loss(torch.zeros(1, 1), torch.zeros(1, 1), torch.ones(1, 1, dtype=torch.bool), expectile=expectile)


def test_what_stands_where_a_turn_begins_is_that_of_all_its_tokens() -> None:
    entries = torch.tensor([[1.0, 2, 3, 4, 5], [6, 7, 8, 9, 10]])
    start = torch.tensor([[1, 0, 1, 0, 0], [1, 1, 0, 0, 1]], dtype=torch.bool)
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], dtype=torch.bool)
    assert at_step_start(entries, start, mask).tolist() == [[1, 1, 3, 3, 3], [6, 7, 7, 0, 0]]


def with_refused_turns() -> list[Trajectory]:
    """Every third turn is one that the environment refused."""
    return [
        dataclasses.replace(
            play,
            steps=tuple(
                dataclasses.replace(step, action_valid=bool((index + at) % 3)) for at, step in enumerate(play.steps)
            ),
        )
        for index, play in enumerate(rollouts())
    ]


@pytest.mark.parametrize(
    ("method", "settings"),
    [
        ("awr", {}),
        ("awr", {"value_lambda": 0.5, "policy_lambda": 0.8, "gamma": 0.9, "max_weight": 1.01}),
        ("iql", {}),
        ("iql", {"expectile": 0.9, "imitate_refused": False}),
    ],
)
@pytest.mark.parametrize("micro", [80, 100_000])
def test_gradients_are_those_of_the_formula_written_out_however_the_batch_is_cut(
    method: str, settings: dict[str, float], micro: int, start: Path, tmp_path: Path
) -> None:
    data = with_refused_turns()
    run = a_run(data, start, tmp_path, micro, method=method, **settings)
    metrics, _ = run.backward(range(len(data)))
    config = run.config
    found = {name: gradient(run, name) for name in ("policy", "value")}

    (plain, tokenizer), plain_value = load_policy(start), load_value(start)
    policy_weights, value_weights = (dict(run.modules.models[name].named_parameters()) for name in ("policy", "value"))
    for model in run.modules.models.values():
        model.zero_grad()
    losses, weights_seen = [], []
    form = TurnFormat.from_tokenizer(tokenizer)
    for episode in data:
        batch = collate([form.encode(episode)], 256)
        ids, mask = batch.input_ids, batch.action_mask[0]
        log_probs = torch.func.functional_call(plain, policy_weights, (ids,)).logits.log_softmax(-1)
        log_prob = log_probs[0, :-1].gather(-1, ids[0, 1:, None])[:, 0][mask[1:]]
        value = torch.func.functional_call(plain_value, value_weights, (ids,)).logits[0, :-1, 0][mask[1:]]
        reward, begins = batch.reward[0][mask].tolist(), batch.step_start[0][mask].tolist()
        numbers = value.tolist()
        target, outlook = (
            torch.tensor(returns_by_hand(reward, numbers, begins, float(lambda_ or 0.0), config.gamma))
            for lambda_ in (config.value_lambda, config.policy_lambda)
        )
        tau = 0.5 if method == "awr" else float(config.expectile or 0.0)
        off = target - value
        on_value = (2 * torch.where(off < 0, 1 - tau, tau) * off**2).mean()
        turn = torch.tensor(begins).cumsum(0) - 1
        firsts = torch.tensor(begins).nonzero()[:, 0]
        advantage = (outlook - value.detach())[firsts][turn]
        weight = torch.exp(advantage / float(config.beta or 0.0)).clamp(max=float(config.max_weight or 0.0))
        imitated = torch.tensor(
            [config.imitate_refused or episode.steps[int(at)].action_valid is not False for at in turn]
        )
        weights_seen.append(weight)
        losses.append((on_value, -(weight * log_prob)[imitated].sum() / max(1, int(imitated.sum()))))
    on_value, on_policy = (sum(column) / len(column) for column in zip(*losses, strict=True))
    (on_value + on_policy).backward()
    assert metrics["value_loss"] == pytest.approx(on_value.item(), rel=1e-4)
    if settings.get("max_weight"):
        assert max(float(weight.max()) for weight in weights_seen) == pytest.approx(1.01)
    for name in ("policy", "value"):
        for key, tensor in gradient(run, name).items():
            torch.testing.assert_close(found[name][key], tensor, rtol=1e-3, atol=1e-5)


def test_while_only_the_value_is_trained_the_policy_has_no_gradient(start: Path, tmp_path: Path) -> None:
    run = a_run(rollouts(), start, tmp_path, 1000, method="iql", value_warmup_epochs=1)
    metrics, _ = run.backward(range(12))
    assert metrics["value_target"] == pytest.approx(sum(play.won for play in rollouts()) / 12)
    assert "policy_loss" not in metrics and not gradient(run)
