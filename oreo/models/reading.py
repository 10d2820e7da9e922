"""Reading model folders: quietly, and with one line that names the file where one is missing, cut or garbled."""

from __future__ import annotations

import contextlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path

import torch

from oreo.errors import DataError, OreoError, UsageError, did_you_mean
from oreo.models.digests import check_digests


def torch_dtype(name: str) -> torch.dtype:
    """The dtype of weights that goes by this name.

    Raises:
        UsageError: there is none.
    """
    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in dtypes:
        raise UsageError(f"unknown dtype {name!r}; {did_you_mean(name, dtypes)}")
    return dtypes[name]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """No bars and no tables of new weights from transformers."""
    from transformers.utils import logging

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """Quiet, and any failure to load in one line.

    Raises:
        DataError: whatever transformers, peft, tokenizers or safetensors had to object; they raise all kinds of things.
    """
    try:
        with quiet():
            yield
    except OreoError:
        raise
    except Exception as error:
        line = _one_line(error)
        if "ignore_mismatched_sizes" in line:  # and a table, which is not shown
            line = "its weights have other shapes than its config.json says"
        if "cannot be loaded with `safetensors`" in line:
            raise DataError(_pickled(name, "its weights", _CONVERT.format(name))) from error
        if not Path(name).is_dir():
            raise DataError(f"no model {name!r}: neither a folder here nor found on the Hub ({line})") from error
        if fault := damage(name):
            raise DataError(
                f"{fault}; put the whole file there (a download that stopped?), or name another model"
            ) from error
        if "tokenizer" in str(error).lower() and not any((Path(name) / file).is_file() for file in _TOKENIZERS):
            raise DataError(
                f"{name} has no tokenizer: none of {', '.join(_TOKENIZERS)} is there; put its model's file there "
                "(a download that stopped?), or name another model"
            ) from error
        raise DataError(f"cannot load a model from {name}: {line}") from error


def _one_line(error: Exception) -> str:
    """What an error of others says, in one line: the first, and the second where that is what the first is about."""
    lines = str(error).strip().splitlines()
    if not lines or isinstance(error, KeyError):  # which says a key and no more
        return f"{type(error).__name__} {lines[0] if lines else ''}".strip()
    return " ".join(line.strip() for line in lines[: 2 if lines[0].endswith(":") else 1])


_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
"""Files that tokenizers are read from, one of which a folder has."""

_CONVERT = "AutoModelForCausalLM.from_pretrained({0!r}).save_pretrained(FOLDER) of transformers"
_CONVERT_ADAPTER = "safetensors.torch.save_file(torch.load({0!r}, weights_only=True), {1!r}, {{'format': 'pt'}})"


def check_files(folder: str | os.PathLike[str]) -> None:
    """Look at the files of a model or an adapter before they are read.

    Raises:
        DataError: its weights are a pickle and no safetensors (the line says how to convert them), or a file is not
            what was written.
    """
    folder = Path(folder)
    for path in sorted(folder.glob("*.json")):
        if not path.is_file():  # a pipe would be waited for
            raise DataError(f"{path} is no regular file; put the model's own there")
    check_digests(folder)
    _check_layers(folder)
    for pickled, safe in (("pytorch_model", "model"), ("adapter_model", "adapter_model")):
        files = sorted(folder.glob(f"{pickled}*.bin"))
        if files and not any((folder / f"{safe}.safetensors{end}").is_file() for end in ("", ".index.json")):
            convert = _CONVERT.format(str(folder))
            if pickled == safe:
                convert = _CONVERT_ADAPTER.format(str(files[0]), str(folder / f"{safe}.safetensors"))
            raise DataError(_pickled(str(folder), files[0].name, convert))


def _check_layers(folder: Path) -> None:
    """Refuse a model of more layers than its weights have tensors: transformers makes them all before it looks."""
    tensors = len(shapes_in(folder) or ())
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return  # an adapter; or the line about it is another's
    parts = [config, *config.values()] if isinstance(config, dict) else []  # text_config, of models that also see
    for name, value in ((name, value) for part in parts if isinstance(part, dict) for name, value in part.items()):
        if name in _LAYERS and type(value) is int and value > tensors > 0:
            raise DataError(
                f"{folder / 'config.json'} says {name} is {value}, and the weights beside it are {tensors} tensors; "
                "put the model's own there"
            )


_LAYERS = frozenset({"num_hidden_layers", "num_layers", "n_layer", "n_layers", "num_attention_layers", "num_experts"})
"""What models call the number of what they have weights of."""


def _pickled(name: str, what: str, convert: str) -> str:
    return (
        f"{name} holds {what} as a pickle, which can run code when it is read; take a copy with safetensors, or, if "
        f"you trust it, convert it by {convert}"
    )


def damage(folder: str | os.PathLike[str]) -> str | None:
    """What is wrong with a file of a model folder, None where nothing can be seen to be."""
    for path in sorted(Path(folder).iterdir()):
        if not path.is_file():
            continue
        if path.stat().st_size == 0 and path.suffix in (".safetensors", ".json", ".bin", ".model", ".txt"):
            return f"{path} is empty"
        if path.suffix == ".safetensors" and (reason := _not_safetensors(path)):
            return f"{path} is cut or damaged ({reason})"
        if path.suffix == ".json" and (fault := _not_json(path)):
            return fault
    return None


def parameters_in(folder: str | os.PathLike[str]) -> int | None:
    """How many numbers the safetensors of a folder hold, by their headers; None where there are none to read."""
    shapes = shapes_in(folder)
    return None if shapes is None else sum(map(math.prod, shapes))


def shapes_in(folder: str | os.PathLike[str]) -> list[list[int]] | None:
    """Of the tensors in the safetensors of a folder, by their headers; None where there are none to read."""
    from safetensors import SafetensorError, safe_open

    files = sorted(Path(folder).glob("*.safetensors"))
    shapes: list[list[int]] = []
    try:
        for file in files:
            with safe_open(file, framework="pt") as opened:
                shapes += [opened.get_slice(key).get_shape() for key in opened.keys()]
    except (OSError, SafetensorError):
        return None
    return shapes if files else None


def _not_safetensors(path: Path) -> str | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="pt"):
            return None
    except (OSError, SafetensorError) as error:
        return str(error).splitlines()[0]


def _not_json(path: Path) -> str | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return f"{path} is cut or damaged (no JSON)"
    if not isinstance(content, dict) and path.name != "added_tokens.json":
        return f"{path} is damaged (JSON, but no object)"
    if path.name.endswith(".index.json"):
        shards = content.get("weight_map")
        if not isinstance(shards, dict):
            return f"{path} is damaged (no weight_map)"
        for shard in sorted(set(map(str, shards.values()))):
            if not (path.parent / shard).is_file():
                return f"{path.parent / shard} is missing, and {path.name} lists it"
    return None
