"""What a run trains and what it compares that with, from the starting model to optimisers, on one device or many.

Policy, value and reference are models of their own; or adapters on one base, which is the reference (oreo.models.lora);
or the policy is a model and the value an adapter on the reference. How processes share them: oreo.training.devices.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from oreo.models import lora
from oreo.models.activations import checkpoint_activations
from oreo.models.loading import is_adapter, load_policy, load_reference, load_value, reallocated, resolve_checkpoint
from oreo.models.packing import prepare
from oreo.models.saving import save_model
from oreo.models.scorers import Policy, Value
from oreo.training.config import TrainConfig
from oreo.training.devices import (
    average_gradients,
    clip_gradients,
    distribute,
    join,
    local,
    moments,
    place,
    sharded,
    weights,
)

_SCORERS: dict[str, Any] = {"policy": Policy, "value": Value}


@dataclass(frozen=True)
class Modules:
    """The models of a run, by "policy" and "value"."""

    models: dict[str, Any]
    """Bare models of transformers, for saving."""
    called: dict[str, Any]
    """The same as forward passes call them: scorers (oreo.models.scorers), as they are spread over processes."""
    trained: dict[str, list[nn.Parameter]]
    """The parameters of each that are trained."""
    reference: Any = None
    """The frozen starting policy as a `Policy`, None for methods without one."""
    adapted: tuple[str, ...] = ()
    """Those that are adapters."""
    base: str = ""
    """The model that adapters belong to, as they are to name it."""
    packed: bool = False
    """Whether forward passes take packed rows."""
    optimizers: dict[str, Any] = field(default_factory=dict)

    def local_gradients(self, accelerator: Any) -> Any:
        """A block whose backward passes are not an update's last: gradients stay where they are."""
        return local(accelerator, self.called.values())

    def average_adapters(self, accelerator: Any) -> None:
        """Average the adapters' gradients over processes, which nothing else does."""
        average_gradients(accelerator, itertools.chain.from_iterable(self.trained[name] for name in self.adapted))

    def clip(self, names: Iterable[str], limit: float) -> dict[str, float]:
        """Scale the gradients of each down to this norm; 0: never. Returns the norms from before."""
        return {f"{name}_grad_norm": clip_gradients(self.optimizers[name], limit or math.inf) for name in names}

    def step(self, rates: Mapping[str, float]) -> None:
        """Step the optimisers that have a learning rate here, and forget their gradients."""
        for name, rate in rates.items():
            for group in self.optimizers[name].param_groups:
                group["lr"] = rate
            self.optimizers[name].step()
            self.optimizers[name].zero_grad()

    def moments(self, *, keep: bool) -> dict[str, dict[str, Tensor]]:
        """What optimisers remember. All processes take part; those that do not `keep` it get nothing."""
        return {name: moments(optimizer, self.trained[name], keep=keep) for name, optimizer in self.optimizers.items()}

    def saver(self, tokenizer: Any, *, keep: bool) -> Callable[[Path], None]:
        """What writes policy/ and value/ into a folder, with the weights of this moment. All processes take part.

        The value goes first, so that an output folder with policy/ is complete.
        """
        whole = {name: weights(model, keep=keep) for name, model in self.models.items()}

        def save(folder: Path) -> None:
            for name in reversed(self.models):
                if name in self.adapted:
                    lora.save_adapter(self.models[name], name, self.base, tokenizer, folder / name)
                else:
                    save_model(self.models[name], tokenizer, folder / name, weights=whole[name])

        return save


def load_start(config: TrainConfig) -> tuple[Any, Any]:
    """The starting policy and its tokenizer."""
    # Weights that are trained stay float32; a frozen base may be what it is computed in.
    dtype = "bfloat16" if config.lora_r and config.lora_models == "both" and config.bf16 else "float32"
    start, tokenizer = load_policy(config.model, dtype=dtype, trust_remote_code=config.trust_remote_code)
    return reallocated(start), tokenizer


def build(
    accelerator: Any, config: TrainConfig, start: Any, checkpoint: Path | None, store_start: Callable[[], str]
) -> Modules:
    """Modules as they are spread over processes, and optimisers.

    Args:
        start: the starting policy, which becomes a part of them.
        checkpoint: where to take weights from; the optimisers' moments are `restore_optimizers`' to put back.
        store_start: called where adapters are to be trained on a model that nobody has stored, the sum of a base and an
            adapter; stores it and returns its folder.
    """
    if config.lora_r and config.lora_models == "both":
        names = lora.ADAPTERS if config.spec.value else lora.ADAPTERS[:1]
        modules = _adapters(accelerator, config, start, names, checkpoint, store_start)
    elif config.lora_r:
        frozen = load_reference(start)
        whole = _whole_models(config, start, checkpoint, with_value=False)
        adapters = _adapters(accelerator, config, frozen, ("value",), checkpoint, store_start)
        modules = dataclasses.replace(
            adapters, models=whole.models | adapters.models, called=whole.called | adapters.called
        )
    else:
        reference = Policy(load_reference(start)) if config.spec.reference else None
        whole = _whole_models(config, start, checkpoint, with_value=config.spec.value)
        modules = dataclasses.replace(whole, reference=reference)
    modules = dataclasses.replace(modules, packed=_prepare(accelerator, config, modules))
    return _with_optimizers(accelerator, config, _spread(accelerator, modules))


def _whole_models(config: TrainConfig, start: Any, checkpoint: Path | None, *, with_value: bool) -> Modules:
    trusted: Any = {"trust_remote_code": config.trust_remote_code}
    models = {"policy": reallocated(load_policy(checkpoint / "policy", **trusted)[0]) if checkpoint else start}
    if with_value:
        source = checkpoint / "value" if checkpoint else config.value_model or resolve_checkpoint(config.model)[0]
        models["value"] = reallocated(load_value(source, **trusted))
    if config.checkpoint_activations:
        for model in models.values():
            checkpoint_activations(model)
    return Modules(models, {name: _SCORERS[name](model) for name, model in models.items()}, trained={})


def _adapters(
    accelerator: Any,
    config: TrainConfig,
    start: Any,
    names: tuple[str, ...],
    checkpoint: Path | None,
    store_start: Callable[[], str],
) -> Modules:
    """Policy and value, or the value alone, as adapters on one base, which is the reference."""
    base = resolve_checkpoint(config.model)[0]
    if is_adapter(base):
        base = store_start()
    if Path(base).exists():
        base = str(Path(base).resolve())
    start.to(accelerator.device)
    if config.bf16:
        lora.hold_in_bfloat16(start)
    alpha = float(config.lora_alpha or config.lora_r)
    models = lora.add_adapters(
        start, names, r=config.lora_r, alpha=alpha, targets=config.lora_targets, seed=config.seed
    )
    if config.checkpoint_activations:
        checkpoint_activations(start, lora.again(start))
    called, trained = {}, {}
    for name, model in models.items():
        if checkpoint:
            lora.restore_adapter(model, name, checkpoint / name)
        called[name] = place(accelerator, lora.through(_SCORERS[name](model), name))
        trained[name] = list(lora.parameters(model, name).values())
    reference = None
    if config.spec.reference:
        with accelerator.autocast():  # it runs the model once, and that may hold float32 beside bfloat16
            reference = lora.Base(start)
    return Modules(models, called, trained, reference, adapted=names, base=base)


def _prepare(accelerator: Any, config: TrainConfig, modules: Modules) -> bool:
    """Move models to the device, and try out whether all of them can take packed rows, where that is wanted."""
    models = list(modules.models.values())
    if modules.reference is not None and modules.reference.model not in models:
        models.append(modules.reference.model)
    if not sharded():
        for model in models:
            model.to(accelerator.device)  # where trying them out takes less time
    with accelerator.autocast():
        return config.packed and prepare(models)


def _spread(accelerator: Any, modules: Modules) -> Modules:
    """What is no adapter as copies or shards. Only after `_prepare`: what is spread cannot be tried out."""
    reference = modules.reference
    if reference is not None and not modules.adapted:
        reference = distribute(accelerator, reference, trained=False)
    called, trained = dict(modules.called), dict(modules.trained)
    for name in modules.models:
        if name not in modules.adapted:
            called[name] = distribute(accelerator, called[name])
            trained[name] = [parameter for parameter in called[name].parameters() if parameter.requires_grad]
    return dataclasses.replace(modules, reference=reference, called=called, trained=trained)


def _with_optimizers(accelerator: Any, config: TrainConfig, modules: Modules) -> Modules:
    rates = {"policy": config.lr, "value": config.value_lr}
    called, optimizers = dict(modules.called), {}
    for name, parameters in modules.trained.items():
        optimizer = torch.optim.AdamW(
            parameters,
            lr=rates[name] or 0.0,
            betas=config.adam_betas,
            weight_decay=config.weight_decay,
            fused=accelerator.device.type in ("cpu", "cuda"),
        )
        called[name], optimizers[name] = join(accelerator, called[name], optimizer)
    return dataclasses.replace(modules, called=called, optimizers=optimizers)
