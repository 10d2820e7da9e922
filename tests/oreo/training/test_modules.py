"""oreo.training.modules: which models a run has, which of their weights are trained, and how they are stepped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.small_models import rollouts
from helpers.training import a_new_run
from oreo.models.loading import load_policy, load_value
from oreo.models.saving import digest
from oreo.training.config import TrainConfig
from oreo.training.modules import Modules

torch.set_num_threads(1)


def modules(start: Path, output: Path, **settings: Any) -> Modules:
    modules: Modules = a_new_run(rollouts(), TrainConfig(model=str(start), **settings), output).modules
    return modules


@pytest.mark.parametrize(
    ("settings", "models", "adapted", "reference"),
    [
        ({"method": "sft"}, {"policy"}, (), False),
        ({"method": "dpo"}, {"policy"}, (), True),
        ({"method": "oreo"}, {"policy", "value"}, (), True),
        ({"method": "sft", "lora_r": 2}, {"policy"}, ("policy",), False),
        ({"method": "oreo", "lora_r": 2}, {"policy", "value"}, ("policy", "value"), True),
        ({"method": "oreo", "lora_r": 2, "lora_models": "value"}, {"policy", "value"}, ("value",), True),
    ],
)
def test_a_method_has_the_models_that_it_learns_from(
    settings: dict[str, Any], models: set[str], adapted: tuple[str, ...], reference: bool, start: Path, tmp_path: Path
) -> None:
    built = modules(start, tmp_path, **settings)
    assert set(built.models) == set(built.called) == set(built.trained) == set(built.optimizers) == models
    assert built.adapted == adapted and (built.reference is not None) == reference
    for name, parameters in built.trained.items():
        whole = sum(parameter.numel() for parameter in built.models[name].parameters())
        trained = sum(parameter.numel() for parameter in parameters)
        assert 0 < trained < whole if name in adapted else trained == whole
    if reference:
        assert not any(p.requires_grad for p in built.reference.model.parameters() if id(p) not in trained_ids(built))


def trained_ids(built: Modules) -> set[int]:
    return {id(parameter) for parameters in built.trained.values() for parameter in parameters}


def test_a_step_is_taken_by_those_with_a_learning_rate_and_forgets_gradients(start: Path, tmp_path: Path) -> None:
    built = modules(start, tmp_path, method="oreo")
    before = {name: digest(model) for name, model in built.models.items()}
    for parameters in built.trained.values():
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
    norms = built.clip(["policy", "value"], 1.0)
    count = sum(parameter.numel() for parameter in built.trained["policy"])
    assert norms["policy_grad_norm"] == pytest.approx(count**0.5, rel=1e-4)
    clipped = sum(float(parameter.grad.square().sum()) for parameter in built.trained["policy"])
    assert clipped == pytest.approx(1.0, rel=1e-3)
    assert built.clip(["value"], 0)["value_grad_norm"] == pytest.approx(1.0, rel=1e-3)
    built.step({"value": 1e-2})
    after = {name: digest(model) for name, model in built.models.items()}
    assert after["policy"] == before["policy"] and after["value"] != before["value"]
    assert all(parameter.grad is None for parameter in built.trained["value"])


def test_the_saver_writes_the_weights_of_its_moment_as_ordinary_folders(start: Path, tmp_path: Path) -> None:
    _, tokenizer = load_policy(start)
    built = modules(start, tmp_path / "run", method="oreo")
    built.saver(tokenizer, keep=True)(tmp_path / "saved")
    assert digest(load_policy(tmp_path / "saved")[0]) == digest(built.models["policy"]) == digest(start)
    assert digest(load_value(tmp_path / "saved" / "value")) == digest(built.models["value"])
