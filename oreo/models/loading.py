"""Loading policy, value and reference: any causal language model of transformers, by the names that users give.

Not here: scoring with them (oreo.models.scorers), saving (oreo.models.saving), and what a damaged folder is told
(oreo.models.reading).
"""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import nn

from oreo.errors import DataError, MissingExtra, UsageError
from oreo.models.hub import check_name
from oreo.models.reading import check_files, parameters_in, reading, shapes_in, torch_dtype
from oreo.models.value_models import value_class

_PACKAGE = Path(__file__).parent.parent
EMBEDDED = {"tiny": _PACKAGE / "tiny", "tiny-math": _PACKAGE / "tiny_math"}
"""The embedded models, for generated ALFWorld games and for generated problems: named so wherever one is asked for."""
_WRITES_NOTHING = (
    *("ForTokenClassification", "ForSequenceClassification", "ForQuestionAnswering", "ForMultipleChoice"),
    *("ForMaskedLM",),
)
"""Ends of names of architectures that transformers would load as a causal language model all the same."""


def resolve_checkpoint(path: str | os.PathLike[str], *, instead: Iterable[str] = ()) -> tuple[str, str | None]:
    """Find policy and value: (policy, value or None).

    Args:
        path: an output folder of `oreo train`, a model folder, "tiny" or "tiny-math" for an embedded model, or a Hub
            name.
        instead: words that could be said in this place, for a hint where a name is nearly one of them; those of
            embedded models are among them.

    Raises:
        DataError: a folder that holds no model, or a name that the Hub has no model of.
        UsageError: a name that no model can have.
    """
    if str(path) in EMBEDDED:
        return str(EMBEDDED[str(path)]), None
    folder = Path(path).expanduser()
    if is_model(folder / "policy"):
        value = folder / "value"
        return str(folder / "policy"), str(value) if is_model(value) else None
    if (folder / "log.jsonl").is_file():
        raise DataError(f"{folder} holds no model yet: its training is not finished; go on with resume")
    if folder.is_dir():
        if not is_model(folder):
            raise DataError(f"{folder} holds no model: neither policy/ nor config.json is in it")
        return str(folder), None
    if str(path).startswith((".", "/", "~")) or len(folder.parts) > 2:
        raise DataError(f"no model at {path}: there is no such folder")
    check_name(str(path), dict.fromkeys([*instead, *EMBEDDED]))
    return str(path), None


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model or an adapter."""
    return (folder / "config.json").is_file() or is_adapter(folder)


def is_adapter(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a LoRA adapter and not a whole model."""
    return (Path(path) / "adapter_config.json").is_file()


def _base_of(adapter: str) -> str:
    """Folder or Hub name of the model that an adapter belongs to; beside it, where `oreo train` had to make one."""
    name = str(_adapter_config(adapter).get("base_model_name_or_path"))
    beside = Path(adapter).parent / "base"
    return str(beside) if Path(name).name == "base" and not Path(name).exists() and beside.is_dir() else name


def _adapter_config(adapter: str) -> dict[str, Any]:
    path = Path(adapter) / "adapter_config.json"
    with reading(adapter):
        config = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(config, dict) or not isinstance(config.get("base_model_name_or_path"), str):
            raise DataError(f"{path} names no base model (base_model_name_or_path); put the whole file there")
        return config


def _merged(model: Any, adapter: str) -> Any:
    """The model with an adapter's changes in its own weights."""
    try:
        from peft import PeftConfig, PeftModel
    except ImportError as error:
        raise MissingExtra(
            f"{adapter} is a LoRA adapter, which needs peft; install it with: pip install 'oreo-agents[peft]'"
        ) from error
    if not (Path(adapter) / "adapter_model.safetensors").is_file():  # peft would ask the Hub for it
        raise DataError(f"{adapter} holds no adapter_model.safetensors; put the whole adapter there")
    config = PeftConfig.from_pretrained(adapter)
    _check_adapter(config, adapter)
    config.task_type = None  # a policy's adapter also fits the body of a value that starts from it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it sets for GPT-2's Conv1D
        merged = PeftModel.from_pretrained(model, adapter, config=config).merge_and_unload()
    return merged.requires_grad_(True)  # peft froze it


def _check_adapter(config: Any, adapter: str) -> None:
    """Raises DataError for an adapter that is no LoRA, or whose ranks are not those of its weights: peft would fetch
    other adapters, or make factors of any size, before it looks at the weights."""
    path = Path(adapter) / "adapter_config.json"
    if str(getattr(config.peft_type, "value", config.peft_type)) != "LORA":
        raise DataError(f"{path} is of an adapter of type {str(config.peft_type):.40}, and only LORA is read")
    most = max((max(shape, default=0) for shape in shapes_in(adapter) or ()), default=0)
    for rank in (config.r, *(config.rank_pattern or {}).values()):
        if type(rank) is not int or not 0 < rank <= most:
            raise DataError(f"{path} says a rank is {str(rank):.40}, and no factor beside it has so many rows")
    if getattr(config, "layer_replication", None):
        raise DataError(f"{path} asks for copies of layers (layer_replication), which are not made")


def load_policy(
    path: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    device: str | torch.device | None = None,
    trust_remote_code: bool = False,
) -> tuple[Any, Any]:
    """A causal language model without dropout, and its tokenizer.

    Args:
        path: anything `resolve_checkpoint` knows.
        dtype: of the weights: "float32", "bfloat16", "float16".
        device: where to put them; None leaves them on the CPU.
        trust_remote_code: run code that comes with the model. Off unless the user asked for it.

    Raises:
        DataError: no such model, files or weights that are incomplete, no tokenizer or one with more tokens than the
            model embeds, a value model.
    """
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    name, _ = resolve_checkpoint(path)
    if is_adapter(name):
        check_files(name)
        if _adapter_config(name).get("task_type") == "TOKEN_CLS":
            raise DataError(_no_policy(name, "the adapter of a value model"))
        model, _ = load_policy(_base_of(name), dtype=dtype, trust_remote_code=trust_remote_code)
        with reading(name):
            tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=trust_remote_code)
            model = _merged(model, name)
        check_tokenizer(tokenizer, model, name)
        return _settled(model, device), tokenizer
    with reading(name):
        check_files(name)
        refuse_no_policy(name, trust_remote_code=trust_remote_code)
        if not trust_remote_code:
            _check_size(name, lambda: AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(name)))
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=trust_remote_code)
        model, info = AutoModelForCausalLM.from_pretrained(
            name,
            dtype=torch_dtype(dtype),
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            output_loading_info=True,
        )
    if info["missing_keys"]:
        raise DataError(f"{name} lacks weights of a {type(model).__name__}: {_some(info['missing_keys'])}")
    check_tokenizer(tokenizer, model, name)
    return _settled(model, device), tokenizer


def check_tokenizer(tokenizer: Any, model: Any, name: str) -> None:
    """Refuse a tokenizer that makes ids the model has no row for (they would fail in the middle of an episode), and an
    end of sequence that no token is.

    Raises:
        DataError: so it is.
    """
    largest = max(tokenizer.get_vocab().values(), default=0)
    embedded = int(model.get_input_embeddings().weight.shape[0])
    if largest >= embedded:
        raise DataError(
            f"the tokenizer of {name} has ids up to {largest}, but the model embeds only {embedded} tokens; give it "
            "its own tokenizer, or enlarge it by model.resize_token_embeddings(len(tokenizer)) of transformers"
        )
    for config in (model.config, getattr(model, "generation_config", None)):
        ends = getattr(config, "eos_token_id", None)
        for end in ends if isinstance(ends, list | tuple) else [] if ends is None else [ends]:
            if not 0 <= int(end) < embedded:
                raise DataError(
                    f"eos_token_id is {end} in config.json or generation_config.json of {name}, but the model embeds "
                    f"only {embedded} tokens; put the model's own there"
                )


def refuse_no_policy(name: str, *, trust_remote_code: bool = False) -> None:
    """Refuse a whole model that gives values or labels and writes no text, before its weights are read.

    Raises:
        DataError: so it is.
    """
    from transformers import AutoConfig

    config = AutoConfig.from_pretrained(name, trust_remote_code=trust_remote_code)
    if not trust_remote_code:
        refuse_kernels(config, name)
    for architecture in config.architectures or ():
        if architecture.endswith(_WRITES_NOTHING):
            raise DataError(_no_policy(name, f"a {architecture}"))


def refuse_kernels(config: Any, name: str) -> None:
    """Refuse a model whose config.json asks for an implementation that is fetched from the Hub: it is code.

    Args:
        config: as transformers reads it, with those of its parts.

    Raises:
        DataError: so it is.
    """
    for key, value in vars(config).items():
        if key.endswith("_implementation_internal") and "/" in str(value):
            raise DataError(
                f"config.json of {name} asks for {key.strip('_').removesuffix('_internal')} {str(value)!r}, which is "
                "code of the Hub; delete that line, or, if you trust it, set trust_remote_code"
            )
        if hasattr(value, "to_dict") and hasattr(value, "model_type"):
            refuse_kernels(value, name)


def _check_size(name: str, make: Callable[[], Any]) -> None:
    """Refuse a folder whose config.json describes a model that is much larger than the weights beside it: memory for it
    would be asked for before they are compared.

    Args:
        make: makes the model, here without memory.

    Raises:
        DataError: so it is.
    """
    stored = parameters_in(name) if Path(name).is_dir() else None
    if stored is None:
        return
    with torch.device("meta"):
        model = make()
    described = sum(tensor.numel() for tensors in (model.parameters(), model.buffers()) for tensor in tensors)
    if described > _PACKED * stored + _BUFFERS:
        raise DataError(
            f"{name}: config.json is of a model of {described:,} numbers, and {stored:,} are beside it; put the "
            "model's own there"
        )


_PACKED = 16
"""Weights of a quantised model that one stored number may hold, at most."""
_BUFFERS = 1 << 26
"""Numbers that a small model may have besides: masks, tables of positions."""


def _no_policy(name: str, what: str) -> str:
    beside = Path(name).absolute().parent / "policy"
    advice = f"its policy is {beside}" if is_model(beside) else "name a causal language model"
    return f"{name} is {what}, which gives values and writes no text; {advice}"


def parameter_count(path: str | os.PathLike[str]) -> int | None:
    """How many weights a model on this machine has, an adapter's base included; None of one that is elsewhere."""
    if str(path) not in EMBEDDED and not Path(path).expanduser().is_dir():
        return None
    name, _ = resolve_checkpoint(path)
    if is_adapter(name):
        return parameter_count(_base_of(name))
    return parameters_in(name) if Path(name).is_dir() else None


def load_value(
    path: str | os.PathLike[str],
    *,
    dtype: str = "float32",
    device: str | torch.device | None = None,
    trust_remote_code: bool = False,
) -> Any:
    """A language model with one number per position in place of logits: token classification, no dropout.

    V(s_t), the value of the state before the token at position t, is `model(ids).logits[:, t - 1, 0]`.

    Args:
        path: a saved value model or adapter, or a causal language model; a causal model's new head is zero, so V = 0
            everywhere. An output folder of `oreo train` means its value, or else its policy.

    Raises:
        DataError: no such model; one that is no causal language model.
    """
    from transformers import AutoConfig

    policy, value = resolve_checkpoint(path)
    name = value or policy
    if is_adapter(name):
        check_files(name)
        model = load_value(_base_of(name), dtype=dtype, trust_remote_code=trust_remote_code)
        with reading(name):
            return _settled(_merged(model, name), device)
    with reading(name):
        check_files(name)
        config = AutoConfig.from_pretrained(name, num_labels=1, trust_remote_code=trust_remote_code)
        if not trust_remote_code:
            refuse_kernels(config, name)
        config.classifier_dropout = 0.0
        _check_size(name, lambda: value_class(config, name)(config))
        model, info = value_class(config, name).from_pretrained(
            name, config=config, dtype=torch_dtype(dtype), use_safetensors=True, output_loading_info=True
        )
    body = f"{model.base_model_prefix}."
    missing = [key for key in info["missing_keys"] if key.startswith(body)]
    if missing:
        raise DataError(f"{name} lacks weights of a {type(model).__name__}: {_some(missing)}")
    head = [key for key, _ in model.named_parameters() if not key.startswith(body)]
    if info["missing_keys"]:
        with torch.no_grad():
            for key in head:
                model.get_parameter(key).zero_()
    return _settled(model, device)


def load_reference(model: Any) -> Any:
    """A frozen copy of a policy as it stands."""
    import copy

    reference = copy.deepcopy(model)
    return reference.requires_grad_(False).eval()


def reallocated(model: Any) -> Any:
    """The model with its weights where torch would have put them: those read from a file stand at any address, and the
    last bits of matrix products on CPUs depend on it, so that a resumed run would end with others."""
    for parameter in model.parameters():
        if parameter.device.type == "cpu":
            parameter.data = parameter.data.clone()
    return model


def device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _some(keys: Any) -> str:
    keys = sorted(keys)
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


def _settled(model: Any, device: str | torch.device | None) -> Any:
    """On its device, with all dropout at zero: log-ratios compare two models, not two draws of noise.

    The numbers are changed on the modules and not in the config, which is saved as it came.
    """
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        for key, value in vars(module).items():
            if "drop" in key and isinstance(value, float):
                setattr(module, key, 0.0)
    if device is None:
        return model.eval()
    try:
        return model.to(device).eval()
    except (AssertionError, RuntimeError) as error:  # torch raises either, by backend
        line = str(error).splitlines()[0]
        raise UsageError(
            f"cannot put the model on device {str(device)!r} ({line}); leave device out for the CPU"
        ) from None
