"""A training run's state on disk: weights as transformers folders, optimiser moments as safetensors, the rest as JSON.

`checkpoint/step-00000120/` is written under another name and renamed when complete, older ones are removed after that:
a run that is killed at any moment leaves a whole one behind. Nothing here is pickled.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch.optim import Optimizer

from oreo.errors import DataError
from oreo.models import replacing, save_model


def save_checkpoint(
    folder: Path,
    step: int,
    *,
    models: Mapping[str, Any],
    tokenizer: Any,
    optimizers: Mapping[str, Optimizer],
    state: Mapping[str, Any],
) -> None:
    """Write `folder/step-N` and remove the others. `state` holds JSON types."""
    target = folder / f"step-{step:08d}"
    with replacing(target) as new:
        for name, model in models.items():
            save_model(model, tokenizer if name == "policy" else None, new / name)
        tensors = {"rng.cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            tensors["rng.cuda"] = torch.cuda.get_rng_state()
        for name, optimizer in optimizers.items():
            for index, entries in optimizer.state_dict()["state"].items():
                tensors |= {f"{name}.{index}.{key}": tensor.cpu() for key, tensor in entries.items()}
        save_file(tensors, new / "optimizer.safetensors")
        (new / "state.json").write_text(json.dumps({**state, "step": step}, indent=2) + "\n")
    for other in folder.iterdir():
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest complete checkpoint, None without one."""
    found = sorted(folder.glob("step-*/state.json")) if folder.is_dir() else []
    return found[-1].parent if found else None


def read_state(checkpoint: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = json.loads((checkpoint / "state.json").read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise DataError(f"cannot read {checkpoint / 'state.json'}: {error}") from error
    return state


def restore_optimizers(checkpoint: Path, optimizers: Mapping[str, Optimizer]) -> None:
    """Put moments and random state back."""
    tensors = load_file(checkpoint / "optimizer.safetensors")
    torch.set_rng_state(tensors.pop("rng.cpu"))
    if (cuda := tensors.pop("rng.cuda", None)) is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(cuda)
    for name, optimizer in optimizers.items():
        states: dict[int, dict[str, torch.Tensor]] = {}
        for key, tensor in tensors.items():
            owner, index, entry = key.split(".", 2)
            if owner == name:
                states.setdefault(int(index), {})[entry] = tensor
        optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
