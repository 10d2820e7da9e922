"""Saving models as transformers folders, and telling their weights apart by a digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oreo.errors import DataError
from oreo.files import replacing
from oreo.models.digests import write_digests
from oreo.models.reading import quiet, torch_dtype


def save_model(
    model: Any, tokenizer: Any | None, folder: str | os.PathLike[str], weights: dict[str, Tensor] | None = None
) -> None:
    """Write an ordinary transformers folder (safetensors, tokenizer, digests), complete or not at all.

    Args:
        weights: what to write in place of the model's own, where those are shards.
    """
    folder = Path(folder)
    with quiet(), replacing(folder) as new:
        model.save_pretrained(new, state_dict=weights, safe_serialization=True)
        if tokenizer is not None:
            tokenizer.save_pretrained(new)
        write_digests(new)


def digest(source: str | os.PathLike[str] | nn.Module, dtype: str | None = None) -> str:
    """First 16 hex digits of a SHA-256 over all weights, of a model or a folder of safetensors.

    Args:
        source: a model, or its folder.
        dtype: take the weights as a model loaded in this dtype has them; None: as they are.

    It is taken over the sorted set of the tensors' own digests (type, shape, bytes), so that names, sharding and
    whether tied weights are stored twice make no difference. Another dtype is another digest.

    Raises:
        DataError: a folder without safetensors.
    """
    digests = set()
    for tensor in _tensors(source):
        if dtype is not None and tensor.is_floating_point():
            tensor = tensor.to(torch_dtype(dtype))
        tensor = tensor.detach().cpu().contiguous()
        tensor_digest = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)} ".encode())
        tensor_digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
        digests.add(tensor_digest.digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()[:16]


def _tensors(source: str | os.PathLike[str] | nn.Module) -> Iterator[Tensor]:
    if isinstance(source, nn.Module):
        yield from source.state_dict().values()
        return
    from safetensors import safe_open

    files = sorted(Path(source).expanduser().glob("*.safetensors"))
    if not files:
        raise DataError(f"{source} holds no safetensors to take a digest of")
    for file in files:
        with safe_open(file, framework="pt") as opened:
            for key in opened.keys():
                yield opened.get_tensor(key)
