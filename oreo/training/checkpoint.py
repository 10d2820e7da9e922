"""A training run's state on disk: weights as transformers folders, optimiser moments as safetensors, the rest as JSON.

`checkpoint/step-00000120/` is written under another name and renamed when complete, older ones are removed after that:
a run that is killed at any moment leaves a whole one behind. Nothing here is pickled.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from oreo.errors import DataError
from oreo.files import replacing, writing
from oreo.training.devices import set_moments


def save_checkpoint(
    folder: Path,
    step: int,
    *,
    save: Callable[[Path], None],
    moments: Mapping[str, Mapping[str, torch.Tensor]],
    state: Mapping[str, Any],
) -> None:
    """Write `folder/step-N` and remove the others.

    Args:
        save: writes the models into a folder.
        moments: of each optimiser, by `oreo.training.devices.moments`.
        state: JSON types.

    Raises:
        DataError: it cannot be written, as on a full disk. The last good one is still there.
    """
    target = folder / f"step-{step:08d}"
    with writing(target), replacing(target) as new:
        save(new)
        tensors = {"rng.cpu": torch.get_rng_state()}
        if torch.cuda.is_available():
            tensors["rng.cuda"] = torch.cuda.get_rng_state()
        for name, found in moments.items():
            tensors |= {f"{name}.{key}": tensor for key, tensor in found.items()}
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


def restore_optimizers(
    checkpoint: Path, optimizers: Mapping[str, Any], parameters: Mapping[str, Sequence[nn.Parameter]]
) -> None:
    """Put moments and random state back. Optimisers are torch's or DeepSpeed's, and are given their parameters."""
    tensors = load_file(checkpoint / "optimizer.safetensors")
    torch.set_rng_state(tensors.pop("rng.cpu"))
    if (cuda := tensors.pop("rng.cuda", None)) is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(cuda)
    for name, optimizer in optimizers.items():
        found = {key.removeprefix(f"{name}."): t for key, t in tensors.items() if key.startswith(f"{name}.")}
        set_moments(optimizer, parameters[name], found)
