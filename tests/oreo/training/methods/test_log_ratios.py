"""oreo.training.methods.log_ratios: trajectories whose tokens stand in several sequences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.small_models import rollouts
from helpers.training import a_run, gradient
from oreo.models.loading import load_policy, load_value
from oreo.training.losses import policy_loss, value_loss

torch.set_num_threads(1)


@pytest.mark.parametrize(
    "settings",
    [{}, {"value_lambda": 0.5, "policy_lambda": 0.7, "gamma": 0.9}, {"level": "step"}, {"level": "response"}],
)
@pytest.mark.filterwarnings("ignore:.*were split")
def test_a_trajectory_in_pieces_is_one_row_with_all_its_returns_and_log_ratios(
    settings: dict[str, Any], start: Path, tmp_path: Path
) -> None:
    config: dict[str, Any] = dict(method="oreo", max_length=40, overlong="split", alpha=0.3, **settings)
    for micro in (1, 100_000):
        run = a_run(rollouts(), start, tmp_path, micro, **config)
        assert len(run.rows.examples) == len(rollouts()) and max(map(len, run.rows.lengths)) > 1
        metrics, seen = run.backward(range(len(run.rows.examples)))
        assert len(seen) == len(run.rows.examples)
        gradients = {(name, key): tensor for name in run.modules.models for key, tensor in gradient(run, name).items()}
        for model in run.modules.models.values():
            model.zero_grad()
        plain, critic = load_policy(start)[0], load_value(start)
        total = 0.0
        for example in run.rows.examples:
            terms = []
            for piece in example.pieces:
                ids, acted = torch.as_tensor(piece.input_ids)[None], torch.as_tensor(piece.action_mask)[1:]
                ours, theirs, values = (
                    torch.func.functional_call(body, dict(model.named_parameters()), (ids,)).logits[0, :-1][acted]
                    for body, model in (
                        (plain, run.modules.models["policy"]),
                        (plain, run.modules.reference.model),
                        (critic, run.modules.models["value"]),
                    )
                )
                ours, theirs = ours.log_softmax(-1), theirs.detach().log_softmax(-1)
                ratio = (ours - theirs).gather(-1, ids[0, 1:][acted][:, None])[:, 0]
                kl = (ours.exp() * (ours - theirs)).sum(-1)
                others = (torch.as_tensor(entries)[1:][acted] for entries in (piece.reward, piece.step_start))
                terms.append((values[:, 0], ratio, kl, *others))
            value, ratio, kl, reward, begins = (torch.cat(column)[None] for column in zip(*terms, strict=True))
            mask = torch.ones_like(begins)
            how = {"beta": 0.03, "step_start": begins, "gamma": settings.get("gamma", 1.0)}
            of_value, of_policy = (settings.get(f"{name}_lambda", 1.0) for name in ("value", "policy"))
            level = settings.get("level", "token")
            total += value_loss(value, ratio, reward, mask, **how, lambda_=of_value)[0] + 0.3 * kl.mean()
            total += policy_loss(value, ratio, reward, mask, **how, level=level, lambda_=of_policy)[0]
        (total / len(run.rows.examples)).backward()
        assert metrics["loss"] == pytest.approx(total.item() / len(run.rows.examples), rel=1e-4)
        for (name, key), tensor in gradients.items():
            expected = gradient(run, name)[key]
            torch.testing.assert_close(tensor, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()) + 1e-7)
