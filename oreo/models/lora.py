"""LoRA: policy and value, or the value alone, as adapters on one base in memory, which without them is the reference.

The base's layers are peft's. The value is a token classification model whose body is the base's own, with a head of
its own, so that `Policy` and `Value` of oreo.models.loading see ordinary models. Which adapter a forward pass goes
through is set just before it, and again where a part of it is computed again. Adapters are saved as peft saves them.

Not here: loading an adapter to act with, which merges it into its base (oreo.models.loading).
"""

from __future__ import annotations

import contextlib
import json
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oreo.errors import DataError, MissingExtra, UsageError
from oreo.files import replacing
from oreo.models.activations import Contexts
from oreo.models.digests import write_digests
from oreo.models.reading import quiet, reading
from oreo.models.scorers import Policy
from oreo.models.value_models import value_class

ADAPTERS = ("policy", "value")
_TASKS = {"policy": "CAUSAL_LM", "value": "TOKEN_CLS"}
_PREFIX = "base_model.model."
"""What peft puts before the names of a model's tensors."""


def require_peft() -> None:
    try:
        import peft  # noqa: F401
    except ImportError as error:
        raise MissingExtra("LoRA needs peft; install it with: pip install 'oreo-agents[peft]'") from error


def add_adapters(base: Any, names: tuple[str, ...], *, r: int, alpha: float, targets: str, seed: int) -> dict[str, Any]:
    """Put adapters into a causal language model, which changes nothing yet: their second factors are zero.

    Args:
        base: the model; its own weights are frozen.
        names: of ADAPTERS, in that order.
        r, alpha: rank and scale, α/r times the product of the factors is added.
        targets: "all-linear", or the ends of layers' names, such as "q_proj,v_proj".
        seed: of the first factors.

    Returns:
        The models to train by name: for "policy" the base, for "value" a token classifier that shares its body.

    Raises:
        UsageError: targets that the model does not have; the output layer among them.
    """
    require_peft()
    from peft import LoraConfig, inject_adapter_in_model

    base.requires_grad_(False)
    settings: dict[str, Any] = {"r": r, "lora_alpha": alpha, "lora_dropout": 0.0}
    all_linear = targets == "all-linear"
    settings["target_modules"] = targets if all_linear else [ending.strip() for ending in targets.split(",")]
    output = base.get_output_embeddings()
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that there are two, and what it sets for Conv1D
        torch.manual_seed(seed)
        for name in names:
            try:
                inject_adapter_in_model(LoraConfig(task_type=_TASKS[name], **settings), base, adapter_name=name)
            except ValueError as error:
                raise UsageError(f"lora_targets {targets!r} do not fit {type(base).__name__}: {error}") from error
    if base.get_output_embeddings() is not output:
        raise UsageError(f"lora_targets {targets!r}: the output layer is the reference's too, and cannot be adapted")
    _refuse_other_layers(base, targets)
    for name, parameter in base.named_parameters():
        if any(_is_of(name, adapter) for adapter in names):
            parameter.data = parameter.data.float()  # whatever the base is in
    made = {"policy": lambda: base, "value": lambda: _classifier(base)}
    return {name: made[name]() for name in names}


def _refuse_other_layers(base: Any, targets: str) -> None:
    """Adapters on embeddings are kept under other names by peft, and where they are tied to the output layer, merging
    them changes that as well."""
    from peft.tuners.tuners_utils import BaseTunerLayer

    for name, layer in base.named_modules():
        if isinstance(layer, BaseTunerLayer) and not len(layer.lora_A):
            raise UsageError(
                f"lora_targets {targets!r}: {name} is no linear layer (embeddings, often tied to the output layer) and "
                "cannot be adapted; name layers of the blocks, such as q_proj,v_proj"
            )


def _classifier(base: Any) -> Any:
    """A token classification model on the base's own body; its head is zero and trained whole."""
    import copy

    config = copy.deepcopy(base.config)
    config.num_labels, config.classifier_dropout = 1, 0.0
    with torch.device("meta"), quiet():
        model = value_class(config, base.name_or_path)(config)
    if model.base_model_prefix != base.base_model_prefix:
        raise DataError(f"{type(base).__name__} and {type(model).__name__} name their bodies differently")
    setattr(model, model.base_model_prefix, base.base_model)
    model.peft_config = base.peft_config
    device = base.get_input_embeddings().weight.device
    for name in head_names(model):
        owner, _, key = name.rpartition(".")
        zeros = torch.zeros(model.get_parameter(name).shape, device=device)
        setattr(model.get_submodule(owner), key, nn.Parameter(zeros))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return model.eval()


def head_names(model: Any) -> list[str]:
    """Names of the parameters outside a model's body."""
    return [name for name, _ in model.named_parameters() if not name.startswith(f"{model.base_model_prefix}.")]


def parameters(model: Any, adapter: str) -> dict[str, nn.Parameter]:
    """What is trained of a model: its adapter and, of a value model, its head."""
    heads = head_names(model) if adapter == "value" else []
    return {name: parameter for name, parameter in model.named_parameters() if _is_of(name, adapter) or name in heads}


def _is_of(name: str, adapter: str) -> bool:
    return f".lora_A.{adapter}." in name or f".lora_B.{adapter}." in name


def switch(model: Any, adapter: str | None) -> None:
    """Let forward passes go through this adapter; None: through the base alone."""
    for layer in _layers(model):
        if adapter is None:
            layer.enable_adapters(False)
        else:
            layer.enable_adapters(True)
            layer.set_adapter(adapter)
    # Peft also freezes what it switches off, and a frozen leaf gets no gradient from a forward pass that was before.
    for name, parameter in model.named_parameters():
        if any(_is_of(name, adapter_name) for adapter_name in ADAPTERS):
            parameter.requires_grad_(True)


def active(model: Any) -> str | None:
    """Which adapter forward passes go through now."""
    layer = next(_layers(model))
    return None if layer.disable_adapters else str(layer.active_adapters[0])


def again(model: Any) -> Contexts:
    """For `oreo.models.activations`: blocks are computed again through the adapter that the forward pass went through.

    By then others have been through the same blocks, the reference in the middle of the policy's pass among them.
    """

    @contextlib.contextmanager
    def through_it(adapter: str | None) -> Iterator[None]:
        if active(model) != adapter:  # so at the first block of a pass that is computed again
            switch(model, adapter)
        yield

    return lambda: (contextlib.nullcontext(), through_it(active(model)))


def hold_in_bfloat16(base: Any) -> None:
    """Hold the matrices of a frozen model's blocks in bfloat16, for a run that computes in it. Call it before adapters.

    Products round them to it anyway, so that such a reference still equals a float32 policy, to the bit. Embeddings and
    norms, which are not rounded, stay as they are.
    """
    output = base.get_output_embeddings()
    for module in base.modules():
        # Conv1D is GPT-2's linear layer.
        if (isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D") and module is not output:
            module.weight.data = module.weight.data.bfloat16()


def _layers(model: Any) -> Iterator[Any]:
    from peft.tuners.tuners_utils import BaseTunerLayer

    return (module for module in model.modules() if isinstance(module, BaseTunerLayer))


def through(module: nn.Module, adapter: str) -> nn.Module:
    """The module (`Policy` or `Value`) with its forward passes through this adapter."""
    module.register_forward_pre_hook(lambda *_: switch(module.model, adapter))
    return module


class Base(Policy):
    """The reference: the policy's model without its adapter. Asked for states in the middle of a policy's pass."""

    def states(self, *args: Any, **kwargs: Any) -> Tensor:
        switch(self.model, None)
        return super().states(*args, **kwargs)


def save_adapter(model: Any, adapter: str, base: str, tokenizer: Any | None, folder: Path) -> None:
    """Write a folder that `peft.PeftModel.from_pretrained` loads onto `base`, complete or not at all."""
    from safetensors.torch import save_file

    trained = parameters(model, adapter)
    tensors = {
        _PREFIX + name.replace(f".{adapter}.", "."): parameter.detach().cpu().contiguous()
        for name, parameter in trained.items()
    }
    with quiet(), replacing(folder) as new:
        save_file(tensors, new / "adapter_model.safetensors", metadata={"format": "pt"})
        stored = model.peft_config[adapter].to_dict() | {"base_model_name_or_path": base, "inference_mode": True}
        if adapter == "value":
            stored["modules_to_save"] = sorted({name.split(".")[0] for name in head_names(model)})
        stored = {key: sorted(value) if isinstance(value, set) else value for key, value in stored.items()}
        (new / "adapter_config.json").write_text(json.dumps(stored, indent=2, default=str) + "\n", encoding="utf-8")
        if tokenizer is not None:
            tokenizer.save_pretrained(new)
        write_digests(new)


def restore_adapter(model: Any, adapter: str, folder: Path) -> None:
    """Put saved weights into a model that has the adapter.

    Raises:
        DataError: the folder's files are damaged, or are another adapter's.
    """
    from safetensors.torch import load_file

    with reading(str(folder)), torch.no_grad():
        stored = load_file(folder / "adapter_model.safetensors")
        for name, parameter in parameters(model, adapter).items():
            parameter.copy_(stored[_PREFIX + name.replace(f".{adapter}.", ".")])
