"""What a loss or gradient that is not finite leaves behind: an error, and the batch it came from."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from oreo.errors import OreoError
from oreo.files import writing
from oreo.training.batches import collate
from oreo.training.rows import Example


class NonFiniteLoss(OreoError, ArithmeticError):
    """A loss or gradient became NaN or infinite. Its batch is saved, and a checkpoint of the weights from before."""


def not_finite(metrics: Mapping[str, float]) -> list[str]:
    """Names of the numbers that are not finite."""
    return [name for name, number in metrics.items() if not math.isfinite(number)]


def keep_batch(folder: Path, examples: Sequence[Example], metrics: Mapping[str, float], pad_id: int) -> None:
    """Write batch.safetensors ([B, T] tensors, padded) and about.json into a folder."""
    from safetensors.torch import save_file

    batch = collate([piece for example in examples for piece in example.pieces], pad_id)
    about = {
        "metrics": {name: str(number) for name, number in metrics.items()},
        "names": [example.name for example in examples],
    }
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        save_file(batch.tensors, folder / "batch.safetensors")
        (folder / "about.json").write_text(json.dumps(about, indent=2) + "\n")
