"""oreo.training.nonfinite: a loss that is not finite ends the run, and what it was is on disk."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import oreo.training.interrupts
import oreo.training.methods.sft
from helpers import small_models
from helpers.training import fast, weights
from oreo.training.nonfinite import NonFiniteLoss
from oreo.training.trainer import train

torch.set_num_threads(1)


def not_finite_at(update: int, monkeypatch: Any) -> None:
    """Imitation's loss is NaN in one update of single micro-batches."""
    plain, calls = oreo.training.methods.sft.nll_loss, []

    def breaks(*args: Any) -> Any:
        calls.append(args)
        loss, metrics = plain(*args)
        return (loss * math.nan, metrics) if len(calls) == update else (loss, metrics)

    monkeypatch.setattr(oreo.training.methods.sft, "nll_loss", breaks)


@pytest.mark.parametrize("save_every", [0, 1])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_its_batch_and_the_weights_from_before(
    save_every: int, start: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    settings: dict[str, Any] = dict(method="sft", model=start, epochs=1, save_every=save_every, **fast("sft"))
    whole = train(small_models.episodes(), output=tmp_path / "whole", **settings)
    output = tmp_path / "run"
    not_finite_at(3, monkeypatch)
    with pytest.raises(NonFiniteLoss, match="loss not finite at update 3; its batch .* --resume .* lower lr") as error:
        train(small_models.episodes(), output=output, **settings)
    saved = load_file(output / "nonfinite-step-00000003" / "batch.safetensors")
    assert saved["input_ids"].shape[0] == 2
    [good] = (output / "checkpoint").iterdir()
    assert f"{good / 'policy'} " in str(error.value) and "\n" not in str(error.value)
    monkeypatch.undo()
    # From there a new run can start, and the cause gone, this one goes on as if nothing had been.
    again = train(small_models.episodes(), output=tmp_path / "new", **settings | dict(model=good / "policy", lr=1e-3))
    assert again.steps == 3
    resumed = train(small_models.episodes(), output=output, resume=True, **settings)
    for key, tensor in weights(whole.policy).items():
        assert torch.equal(tensor, weights(resumed.policy)[key])


def test_a_first_loss_that_is_not_finite_is_not_blamed_on_the_learning_rate(
    start: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    not_finite_at(1, monkeypatch)
    with pytest.raises(NonFiniteLoss, match="update 1; .* a lower lr will not help"):
        train(small_models.episodes(), method="sft", model=start, output=tmp_path / "run", **fast("sft"))
    assert not (tmp_path / "run" / "checkpoint").exists()
