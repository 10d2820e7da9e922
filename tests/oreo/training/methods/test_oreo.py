"""oreo.training.methods.oreo: OREO and DQO on a model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import small_models
from helpers.small_models import rollouts
from helpers.training import FAST, a_run, gradient, log, weights
from oreo.encoding.turn_format import TurnFormat
from oreo.models.loading import load_policy, load_value
from oreo.training.batches import collate
from oreo.training.losses import policy_loss, trajectory_mean, value_loss
from oreo.training.schedule import schedule
from oreo.training.trainer import train

torch.set_num_threads(1)


def by_hand(start: Path, trajectories: list[Any], level: str) -> dict[str, dict[str, torch.Tensor]]:
    """Two OREO updates in the order of the paper (value first, then policy), all episodes in one batch."""
    policy, tokenizer = load_policy(start)
    reference, _ = load_policy(start)
    value = load_value(start)
    optimizers = [torch.optim.AdamW(m.parameters(), lr=1.0, betas=(0.9, 0.95), weight_decay=0) for m in (policy, value)]
    form = TurnFormat.from_tokenizer(tokenizer)
    for step in range(2):
        batch = collate([form.encode(trajectory) for trajectory in trajectories], 256)
        ids, mask = batch.input_ids, batch.action_mask
        ours, theirs = (model(ids).logits.log_softmax(-1)[:, :-1] for model in (policy, reference))
        theirs = theirs.detach()
        pad = torch.nn.functional.pad
        log_ratio = pad((ours - theirs).gather(-1, ids[:, 1:, None])[..., 0], (1, 0))
        kl = pad((ours.exp() * (ours - theirs)).sum(-1), (1, 0))
        values = pad(value(ids).logits[:, :-1, 0], (1, 0))
        on_value, _ = value_loss(values, log_ratio, batch.reward, mask, beta=0.03)
        on_policy, _ = policy_loss(
            values, log_ratio, batch.reward, mask, beta=0.03, level=level, step_start=batch.step_start
        )
        losses = (on_policy + 0.01 * trajectory_mean(kl, mask), on_value)
        for model, optimizer, loss in ((value, optimizers[1], losses[1]), (policy, optimizers[0], losses[0])):
            optimizer.zero_grad()
            loss.backward(retain_graph=True)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in (optimizers[1], optimizers[0]):
            for group in optimizer.param_groups:
                group["lr"] = 1e-2 * schedule(step, 2, 0.03)
            optimizer.step()
    return {"policy": dict(policy.named_parameters()), "value": dict(value.named_parameters())}


@pytest.mark.parametrize("level", ["token", "step", "response"])
def test_updates_are_those_of_the_paper_written_out_however_the_batch_is_cut(
    level: str, start: Path, tmp_path: Path
) -> None:
    trajectories = small_models.episodes()
    expected = by_hand(start, trajectories, level)
    for micro in (1, 80, 100_000):
        output = tmp_path / str(micro)
        settings = dict(batch_size=12, lr=1e-2, value_lr=1e-2, alpha=0.01, level=level, micro_tokens=micro)
        train(trajectories, method="oreo", model=start, output=output, epochs=2, **settings)
        for name, parameters in expected.items():
            for key, tensor in weights(output / name).items():
                # Adam divides by tiny second moments, so rounding shows where the gradient is next to nothing.
                torch.testing.assert_close(tensor, parameters[key].detach(), rtol=1e-3, atol=2e-3)


def test_while_only_the_value_is_trained_its_target_is_what_was_received(start: Path, tmp_path: Path) -> None:
    """Afterwards it is the value behind each turn: that of a new one is 0, so only last turns still have a target."""
    target = {}
    for warmup in (1, 0):
        for value_lambda in (1.0, 0.0):
            run = a_run(rollouts(), start, tmp_path, 1000, value_warmup_epochs=warmup, value_lambda=value_lambda)
            assert run.value_only == bool(warmup)
            target[warmup, value_lambda] = run.backward(range(12))[0]["value_target"]
    assert target[1, 0.0] == target[1, 1.0] == pytest.approx(sum(play.won for play in rollouts()) / 12)
    assert target[0, 0.0] < target[0, 1.0]


def test_dqo_has_oreos_loss_without_kl_and_another_gradient(start: Path, tmp_path: Path) -> None:
    runs = {
        name: a_run(rollouts(), start, tmp_path, 1000, method=name, **settings)
        for name, settings in {"dqo": {}, "oreo": {"alpha": 0.0}}.items()
    }
    metrics = {name: run.backward(range(12))[0] for name, run in runs.items()}
    assert metrics["dqo"] == pytest.approx(metrics["oreo"]) and metrics["dqo"]["kl"] > 0
    values, policies = ([gradient(run, name) for run in runs.values()] for name in ("value", "policy"))
    assert all(torch.equal(values[0][key], values[1][key]) for key in values[0])
    assert not any(torch.allclose(policies[0][key], policies[1][key]) for key in policies[0])


def test_step_level_trains_values_at_step_starts_only(start: Path, tmp_path: Path) -> None:
    train(small_models.episodes(), method="oreo", level="step", model=start, output=tmp_path / "run", epochs=1, **FAST)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["alpha"] == 0.1
    assert log(tmp_path / "run")[-1]["policy_loss"] >= 0
