"""oreo.models.scorers: scores and values of actions against plain passes through the model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import oreo.models.scoring
from helpers import small_models
from oreo.models.loading import load_policy, load_reference, load_value
from oreo.models.scorers import Policy, Value

torch.set_num_threads(1)


def written_out(model: Any, reference: Any, ids: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Full log-softmax of both models, the plain way."""
    ours = model(ids).logits.double().log_softmax(-1)[:, :-1]
    theirs = reference(ids).logits.double().log_softmax(-1)[:, :-1]
    chosen = ids[:, 1:, None]
    scores = (
        ours.gather(-1, chosen)[..., 0],
        theirs.gather(-1, chosen)[..., 0],
        (ours.exp() * (ours - theirs)).sum(-1),
    )
    return tuple(torch.nn.functional.pad(x, (1, 0)) * mask for x in scores)


@pytest.mark.parametrize("chunk", [1 << 24, 260 * 3])
def test_scores_and_gradients_equal_the_full_log_softmax(folder: Path, chunk: int, monkeypatch: Any) -> None:
    monkeypatch.setitem(oreo.models.scoring.CHUNK, "cpu", chunk)
    ids, mask = small_models.ids_and_mask()
    model, _ = load_policy(folder)
    reference = load_reference(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    policy = Policy(model)
    assert policy.gathers
    scores = policy(ids, mask, reference=Policy(reference))
    expected = written_out(model, reference, ids, mask)
    for ours, theirs in zip(scores, expected, strict=True):
        torch.testing.assert_close(ours, theirs.float(), rtol=1e-4, atol=1e-5)
    assert scores[2].max() > 1e-4
    weights = torch.randn(3, 11, generator=torch.Generator().manual_seed(2))
    gradients = []
    for log_prob, _, kl in (scores, expected):
        model.zero_grad()
        ((log_prob + 3 * kl) * weights).sum().backward()
        gradients.append([parameter.grad.clone() for parameter in model.parameters()])
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4)
    assert all(parameter.grad is None for parameter in reference.parameters())


def padded(rows: list[torch.Tensor], width: int, *, on_left: bool) -> torch.Tensor:
    pad = torch.nn.functional.pad
    return torch.stack([pad(row, (width - len(row), 0) if on_left else (0, width - len(row))) for row in rows])


@pytest.mark.parametrize("model", ["policy", "value"])
def test_padding_on_the_left_or_the_right_changes_no_score_and_no_gradient(model: str, folder: Path) -> None:
    """Against every row alone; rows are longer than the window of those that have one."""
    random = torch.Generator().manual_seed(0)
    rows = [torch.randint(0, 250, (length,), generator=random) for length in (23, 14, 9)]
    masks = [(torch.rand(len(row), generator=random) < 0.5) & (torch.arange(len(row)) > 0) for row in rows]
    weights = [torch.randn(len(row), generator=random) for row in rows]
    module: Any
    if model == "policy":
        module, reference = Policy(load_policy(folder)[0]), Policy(load_policy(folder)[0].requires_grad_(False))
    else:
        module, reference = Value(load_value(folder)), None
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))

    def scores(*inputs: Any) -> torch.Tensor:
        if model == "value":
            return module(*inputs)
        log_prob, theirs, kl = module(*inputs, reference=reference)
        return log_prob - theirs / 2 + 3 * kl

    def gradient(loss: torch.Tensor) -> list[torch.Tensor]:
        module.zero_grad()
        loss.backward()
        return [
            torch.zeros(()) if parameter.grad is None else parameter.grad.clone() for parameter in module.parameters()
        ]

    alone = [scores(row[None], mask[None])[0] for row, mask in zip(rows, masks, strict=True)]
    expected = gradient(sum((scored * weight).sum() for scored, weight in zip(alone, weights, strict=True)))
    for on_left, told in ((False, False), (False, True), (True, True)):
        ids, mask, weight, real = (
            padded(tensors, 27, on_left=on_left)
            for tensors in (rows, masks, weights, [torch.ones_like(row) for row in rows])
        )
        padded_scores = scores(ids, mask, *([real] if told else []))
        torch.testing.assert_close(padded_scores, padded(alone, 27, on_left=on_left), rtol=1e-4, atol=1e-5)
        for ours, theirs in zip(gradient((padded_scores * weight).sum()), expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-4 * max(1.0, float(theirs.abs().max())))


def test_a_new_value_is_zero_everywhere_and_is_read_before_the_token(folder: Path) -> None:
    ids, mask = small_models.ids_and_mask()
    model = load_value(folder)
    assert (Value(model)(ids, mask) == 0).all()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if not name.startswith(model.base_model_prefix):
                parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
        values, logits = Value(model)(ids, mask), model(ids).logits
    assert logits.shape == (3, 11, 1)
    for row, position in mask.nonzero().tolist():
        assert values[row, position] == logits[row, position - 1, 0]
    assert (values[~mask] == 0).all()


def test_a_model_that_makes_logits_its_own_way_is_computed_in_full_and_said(tmp_path: Path) -> None:
    model, _ = load_policy(small_models.make_model(tmp_path / "m"))
    plain = model.forward
    ids, mask = small_models.ids_and_mask()

    def doubled(*args: Any, **kwargs: Any) -> Any:
        output = plain(*args, **kwargs)
        output.logits = output.logits * 2
        return output

    model.forward = doubled
    with pytest.warns(UserWarning, match="own"):
        policy = Policy(model)
    torch.testing.assert_close(policy(ids, mask)[0], written_out(model, model, ids, mask)[0].float())
