"""oreo.models.value_models: kinds of models that transformers has no value model for."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModel

from helpers import small_models
from helpers.small_models import rollouts
from helpers.training import FAST, a_new_run, log
from oreo.models import lora
from oreo.models.loading import load_value
from oreo.training.config import TrainConfig
from oreo.training.trainer import train

torch.set_num_threads(1)


@pytest.mark.parametrize("lora_r", [0, 4])
@pytest.mark.parametrize("kind", ["gemma3", "olmo2", "opt", "granite"])
def test_kinds_that_transformers_has_no_value_model_for_have_one_here(kind: str, lora_r: int, tmp_path: Path) -> None:
    start = small_models.make_model(tmp_path / "start", kind)
    ids = torch.arange(90).view(2, 45)
    with torch.no_grad():
        assert not load_value(start)(ids).logits.any()
    settings: dict[str, Any] = {**FAST, "value_lr": 1e-1, "lora_r": lora_r, "packed": False}
    run = a_new_run(rollouts(), TrainConfig(model=str(start), epochs=1, **settings), tmp_path / "run")
    result = run.train(None)
    if lora_r:
        lora.switch(run.modules.models["value"], "value")
    again = load_value(result.output)
    with torch.no_grad():
        values = run.modules.models["value"](ids).logits
        assert values.std() > 0
        torch.testing.assert_close(again(ids).logits, values, rtol=1e-3, atol=1e-4)
        if not lora_r:
            body = AutoModel.from_pretrained(result.value)
            states = again.base_model(ids).last_hidden_state
            torch.testing.assert_close(body(ids).last_hidden_state, states, rtol=1e-4, atol=1e-5)
    log_of = [log(result.output), log(train_again(rollouts(), start, tmp_path / "packed", settings))]
    assert log_of[1][-1]["value_loss"] == pytest.approx(log_of[0][-1]["value_loss"], rel=1e-3)


def train_again(data: list[Any], start: Path, output: Path, settings: dict[str, Any]) -> Path:
    """With packed rows, where the kind can be packed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train(data, method="oreo", model=start, output=output, epochs=1, **{**settings, "packed": True}).output
