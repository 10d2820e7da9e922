"""oreo.training.methods.spec: methods of a user's own, as a spec and as a bare loss."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import small_models
from oreo.training.methods.registry import load_method
from oreo.training.methods.spec import LossOutcome, MethodSpec
from oreo.training.recipe import Setting
from oreo.training.trainer import train

torch.set_num_threads(1)
EXAMPLE = Path(__file__).parents[4] / "examples" / "weighted_imitation.py"


def test_the_example_weights_imitation_by_return_and_a_lost_trajectory_teaches_nothing(
    start: Path, tmp_path: Path
) -> None:
    losses = {}
    for name, episodes in (
        ("all", small_models.episodes()),
        ("won", [episode for episode in small_models.episodes() if episode.won]),
    ):
        result = train(
            episodes, method=f"{EXAMPLE}:weighted", model=start, output=tmp_path / name, batch_size=12, lr=0.0, epochs=1
        )
        assert json.loads((result.output / "config.json").read_text())["method"].endswith(
            "weighted_imitation.py:weighted"
        )
        losses[name] = result.metrics["loss"] * len(episodes)
    assert losses["all"] == pytest.approx(losses["won"], rel=1e-5) and losses["won"] > 0


def test_a_spec_and_a_bare_loss_are_methods_in_python(start: Path, tmp_path: Path) -> None:
    def mine(update: Any, batch: Any, examples: Any) -> LossOutcome:
        """Likelihood of what was done."""
        assert update.reference is not None and update.value is None
        log_prob, _, _ = update.policy(batch.input_ids, batch.action_mask, packing=batch.packing)
        return LossOutcome(-log_prob.sum() / len(examples), {})

    spec = MethodSpec("named", mine, defaults={"lr": Setting(1e-3, "mine")})
    for method, name, lr in ((mine, "mine", 5e-6), (spec, "named", 1e-3)):
        result = train(small_models.episodes(), method=method, model=start, output=tmp_path / name, batch_size=12)
        stored = json.loads((result.output / "config.json").read_text())
        assert (stored["method"], stored["lr"], stored["epochs"], stored["beta"] is None) == (
            *(name, lr, 1),
            method is spec,
        )
    assert load_method(mine).about == "Likelihood of what was done."
