"""What tests of training share: settings of short runs, and the gradient of a run that has not begun."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from oreo.models.loading import load_policy
from oreo.training.config import TrainConfig
from oreo.training.run_folder import RunFolder
from oreo.training.trainer import Run

WITH_VALUE = ("awr", "dqo", "iql", "oreo")
FAST = dict(batch_size=5, lr=1e-2, value_lr=1e-2)


def fast(method: str) -> dict[str, Any]:
    return {name: value for name, value in FAST.items() if name != "value_lr" or method in WITH_VALUE}


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def log(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def a_new_run(data: list[Any], config: TrainConfig, output: Path) -> Run:
    """A run before its first update."""
    return Run(data, config, RunFolder(output, config))


def a_run(data: list[Any], start: Path, output: Path, micro: int, **settings: Any) -> Any:
    """A run before its first update, whose policy has left the reference already."""
    run = a_new_run(data, TrainConfig(model=str(start), micro_tokens=micro, **settings), output)
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for model in run.modules.models.values():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=random))
    return run


def gradient(run: Any, name: str = "policy") -> dict[str, torch.Tensor]:
    return {key: p.grad.clone() for key, p in run.modules.models[name].named_parameters() if p.grad is not None}


def log_ratio_of(run: Any, ids: Any, mask: Any) -> torch.Tensor:
    """Σ log π/π_ref over the action tokens of one sequence, from full logits of plain models with the run's weights."""
    ids, chosen = torch.as_tensor(ids)[None], torch.as_tensor(mask)[1:]
    plain, _ = load_policy(run.config.model)
    ours, theirs = (
        torch.func.functional_call(plain, dict(model.named_parameters()), (ids,)).logits.log_softmax(-1)
        for model in (run.modules.models["policy"], run.modules.reference.model)
    )
    return (ours - theirs)[0, :-1].gather(-1, ids[0, 1:, None])[chosen].sum()
