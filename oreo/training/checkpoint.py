"""A training run's state on disk: weights as transformers folders, optimiser moments as safetensors, the rest as JSON.

`checkpoint/step-00000120/` is written under another name and renamed when complete, older ones are removed after that:
a run that is killed at any moment leaves a whole one behind. state.json holds a digest of every other file and one of
its own contents, and nothing is taken from a checkpoint before they fit. Nothing here is pickled.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from oreo.errors import DataError
from oreo.files import replacing, sha256_of, writing
from oreo.models.reading import reading
from oreo.training.devices import set_moments

STATE = "state.json"


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
        for name, entries in moments.items():
            tensors |= {f"{name}.{key}": tensor for key, tensor in entries.items()}
        save_file(tensors, new / "optimizer.safetensors")
        content = {**state, "step": step, "files": _digests(new)}
        content["sha256"] = _digest_of(content)
        (new / STATE).write_text(json.dumps(content, indent=2) + "\n")
    for other in folder.iterdir():
        if other != target:
            shutil.rmtree(other, ignore_errors=True)


def latest_checkpoint(folder: Path) -> Path | None:
    """The newest checkpoint, None without one."""
    checkpoints = sorted(folder.glob("step-*")) if folder.is_dir() else []
    return checkpoints[-1] if checkpoints else None


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The state that was saved, when all files of the checkpoint are what they were then.

    A checkpoint of before there were digests is taken as it is.

    Raises:
        DataError: a file is missing or damaged.
    """
    path = checkpoint / STATE
    try:
        state = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise _damaged(path, "is missing or no JSON") from None
    if not isinstance(state, dict) or type(state.get("step")) is not int:
        raise _damaged(path, "says no step")
    if "sha256" in state or "files" in state:
        stored = state.pop("sha256", None)
        if stored != _digest_of(state):
            raise _damaged(path, "is not what was written")
        _check_files(checkpoint, state.pop("files"))
    return state


def _check_files(checkpoint: Path, digests: Mapping[str, str]) -> None:
    for name, stored in digests.items():
        path = checkpoint / name
        if not path.is_file():
            raise _damaged(path, "is missing")
        if sha256_of(path) != stored:
            raise _damaged(path, f"is not what was written (its SHA-256 differs from that in {STATE})")


def _damaged(path: Path, fault: str) -> DataError:
    folder = next((parent for parent in path.parents if parent.name == "checkpoint"), path.parent)
    return DataError(
        f"{path} {fault}: the checkpoint is damaged; put a good copy there, or delete {folder} and the run begins "
        "again with --resume"
    )


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its path in it."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): sha256_of(path) for path in files}


def _digest_of(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def restore_optimizers(
    checkpoint: Path, optimizers: Mapping[str, Any], parameters: Mapping[str, Sequence[nn.Parameter]]
) -> None:
    """Put moments and random state back. Optimisers are torch's or DeepSpeed's, and are given their parameters.

    Raises:
        DataError: optimizer.safetensors cannot be read.
    """
    with reading(str(checkpoint)):
        tensors = load_file(checkpoint / "optimizer.safetensors")
        torch.set_rng_state(tensors.pop("rng.cpu"))
    if (cuda := tensors.pop("rng.cuda", None)) is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(cuda)
    for name, optimizer in optimizers.items():
        entries = {key.removeprefix(f"{name}."): t for key, t in tensors.items() if key.startswith(f"{name}.")}
        set_moments(optimizer, parameters[name], entries)
