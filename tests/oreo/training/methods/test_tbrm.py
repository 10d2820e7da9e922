"""oreo.training.methods.tbrm: its minimum is the soft optimum, and V is read off the logits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from helpers import exact_process
from helpers.small_models import rollouts
from helpers.training import a_run, gradient, log_ratio_of
from oreo.models.loading import load_policy
from oreo.training.methods.tbrm import tbrm_loss

torch.set_num_threads(1)


@pytest.mark.parametrize("which", ["tree", "conversation"])
def test_the_residual_of_every_episode_vanishes_at_the_soft_optimum_and_nowhere_near(which: str) -> None:
    process = getattr(exact_process, which)()
    reference, beta = exact_process.random_reference(process), 0.1
    value, policy = exact_process.solve(process, reference, beta)
    walks = exact_process.walks(process)
    returns = torch.tensor([sum(process[state][token].reward for state, token in walk) for walk in walks])
    for table, vanishes in ((policy, True), (reference, False)):
        ratios = torch.tensor([sum(table[move] - reference[move] for move in walk) for walk in walks])
        loss, metrics = tbrm_loss(torch.full_like(ratios, value[""] / beta), ratios, returns, beta=beta)
        assert (float(loss) < 1e-9) == vanishes
        assert float(metrics["value"]) == pytest.approx(value[""], rel=1e-5)


@pytest.mark.parametrize("kind", ["plain", "split"])
@pytest.mark.parametrize("micro", [80, 100_000])
def test_gradients_are_those_of_the_formula_written_out_however_the_batch_is_cut(
    kind: str, micro: int, start: Path, tmp_path: Path
) -> None:
    settings = {"max_length": 40, "overlong": "split"} if kind == "split" else {}
    run = a_run(rollouts(), start, tmp_path, micro, method="tbrm", beta=0.5, **settings)
    assert any(len(row.pieces) > 1 for row in run.rows.examples) == (kind == "split")
    metrics, _ = run.backward(range(12))
    found = gradient(run)
    run.modules.models["policy"].zero_grad()
    plain, _ = load_policy(start)
    weights = dict(run.modules.models["policy"].named_parameters())
    losses = []
    for row in run.rows.examples:
        first = row.pieces[0]
        logits = torch.func.functional_call(plain, weights, (torch.as_tensor(first.input_ids)[None],)).logits[0]
        value = logits[int(first.action_mask.argmax()) - 1].logsumexp(-1)
        ratio = sum(log_ratio_of(run, piece.input_ids, piece.action_mask) for piece in row.pieces)
        losses.append((value + ratio - float(row.won) / 0.5) ** 2)
    loss = sum(losses) / len(losses)
    loss.backward()
    assert metrics["tbrm_loss"] == pytest.approx(float(loss), rel=1e-4)
    for key, tensor in gradient(run).items():
        torch.testing.assert_close(found[key], tensor, rtol=1e-3, atol=1e-4)
