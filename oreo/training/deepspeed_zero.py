"""DeepSpeed ZeRO: each process keeps a part of the moments (stage 1), gradients (2) and weights (3) of a model.

DeepSpeed makes an engine of a module and our AdamW, and takes its place in the module's forward and backward pass; the
rest here moves whole tensors in and out of its parts. oreo.training.devices calls this where the launcher asked for
DeepSpeed. Not here: the reference, which has no optimiser and is shared out as under FSDP2.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import sys
import warnings
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from oreo.errors import MissingExtra, UsageError

_OURS = {"gradient_accumulation_steps": "micro_tokens", "gradient_clipping": "max_grad_norm", "bf16": "bf16"}
"""What oreo has settings of its own for, by DeepSpeed's names."""


def settings() -> dict[str, Any]:
    """`zero_optimization` of DeepSpeed's configuration, from the launcher's or from a deepspeed_config_file.

    Raises:
        UsageError: what is not supported, or is set elsewhere.
        MissingExtra: DeepSpeed is not installed.
    """
    from accelerate.utils import DeepSpeedPlugin

    if importlib.util.find_spec("deepspeed") is None:
        raise MissingExtra("deepspeed is not installed; install it with: pip install 'oreo-agents[deepspeed]'")
    try:
        plugin_config = DeepSpeedPlugin().deepspeed_config
    except ValueError as error:
        raise UsageError(f"cannot use this DeepSpeed configuration: {str(error).splitlines()[0]}") from error
    config = {key: setting for key, setting in plugin_config.items() if setting not in ("auto", None)}
    zero = {key: setting for key, setting in config.pop("zero_optimization").items() if setting not in ("auto", None)}
    for key in ("train_batch_size", "train_micro_batch_size_per_gpu", "steps_per_print"):
        config.pop(key, None)
    if config.get("gradient_accumulation_steps") == 1:
        del config["gradient_accumulation_steps"]
    for key in config:
        instead = f"set {_OURS[key]} of oreo" if key in _OURS else "only zero_optimization is taken"
        raise UsageError(f"{key} of a DeepSpeed configuration is not supported; leave it out: {instead}")
    if zero.get("stage") not in (1, 2, 3):
        raise UsageError(f"ZeRO has no stage {zero.get('stage')!r} that shares anything; set zero_stage: 3, 2 or 1")
    for key in ("offload_optimizer", "offload_param"):
        if zero.pop(key, {}).get("device", "none") != "none":
            raise UsageError(f"{key} is not supported; leave it out, and use more GPUs or set micro_tokens lower")
    return zero


def engine(module: Any, optimizer: torch.optim.Optimizer, *, bf16: bool) -> tuple[Any, Any]:
    """A module and its optimiser as DeepSpeed runs them.

    Weights, gradients and moments are float32; with `bf16` the module computes in bfloat16 by autocast.

    Raises:
        UsageError: this process was not started by a launcher.
    """
    if "RANK" not in os.environ:
        raise UsageError("DeepSpeed needs a launcher, for one process too: accelerate launch --config_file zero3.yaml")
    zero = settings()
    config = {
        "train_micro_batch_size_per_gpu": 1,  # asked for and not used: batches, their shares and norms are oreo's
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "torch_autocast": {"enabled": bf16, "dtype": "bfloat16", "lower_precision_safe_modules": []},
        "steps_per_print": None,
    }
    warnings.filterwarnings("ignore", r"`torch\.distributed\.\w+` is deprecated", FutureWarning)
    with contextlib.redirect_stdout(sys.stderr):  # where it would write its log
        import deepspeed
        import deepspeed.ops

        # On CPUs it would compile an all-reduce of its own at first use. Torch's needs no compiler.
        deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False
        made, optimizer, _, _ = deepspeed.initialize(model=module, optimizer=optimizer, config=config)
    if zero["stage"] == 3 and getattr(module, "gathers", False):
        _keep_output_layer(module)
    return made, optimizer


def _keep_output_layer(policy: Any) -> None:
    """Gather the output layer with the policy's own forward and backward pass, not with each use of it.

    It is used directly (`plain_layer`), and in as many chunks as a process has rows of, which are not as many as
    another has: processes that gather at different times wait for ever.
    """
    import deepspeed

    layer = policy.model.get_output_embeddings()
    for parameter in layer.parameters(recurse=False):
        deepspeed.zero.register_external_parameter(policy, parameter)
    # With hooks of its own, DeepSpeed's, it would not count as plain.
    layer._forward_pre_hooks.clear()
    layer._forward_hooks.clear()


@contextlib.contextmanager
def more_to_come(engines: Iterable[Any]) -> Iterator[None]:
    """For backward passes that are not an update's last one."""
    engines = list(engines)
    for shared_engine in engines:
        shared_engine.set_gradient_accumulation_boundary(False)
    try:
        yield
    finally:
        for shared_engine in engines:
            shared_engine.set_gradient_accumulation_boundary(True)


def clip_gradients(optimizer: Any, limit: float) -> float:
    """As `oreo.training.devices.clip_gradients`."""
    parts = [part for group in optimizer.averaged_gradients.values() for part in group]
    squares = torch.stack([part.detach().float().square().sum() for part in parts]).sum()
    if torch.distributed.is_initialized():
        torch.distributed.all_reduce(squares)
    norm = float(squares.sqrt())
    if norm > limit:
        for part in parts:
            part.mul_(limit / (norm + 1e-6))
    return norm


def moments(optimizer: Any, parameters: Sequence[nn.Parameter], *, keep: bool) -> dict[str, Tensor]:
    """As `oreo.training.devices.moments`; nothing before the first update."""
    from deepspeed.utils import safe_get_full_optimizer_state

    gathered: dict[str, Tensor] = {}
    state: dict[str, Tensor] = next(iter(optimizer.optimizer.state.values()), {})  # of many parameters, laid end to end
    for index, parameter in enumerate(parameters):
        for key, shared in state.items():
            tensor = shared if key == "step" else safe_get_full_optimizer_state(parameter, key)
            if keep:
                gathered[f"{index}.{key}"] = tensor.to("cpu", copy=True)
    return gathered


def set_moments(optimizer: Any, parameters: Sequence[nn.Parameter], tensors: dict[str, Tensor]) -> None:
    """Put `moments` back, those of any way of sharing."""
    from deepspeed.utils import safe_set_full_optimizer_state, safe_set_local_optimizer_state

    if not tensors:
        return
    third = hasattr(optimizer, "fp32_partitioned_groups_flat")  # ZeRO's stage
    flat = optimizer.fp32_partitioned_groups_flat if third else optimizer.single_partition_of_fp32_groups
    # An optimiser has no state before its first update.
    entries = {name.split(".", 1)[1]: tensor for name, tensor in tensors.items()}
    for part in flat:
        optimizer.optimizer.state[part] = {
            key: tensor.to(part.device, copy=True) if key == "step" else torch.zeros_like(part)
            for key, tensor in entries.items()
        }
    if not third:
        optimizer._lazy_init_hp_params_optimizer_state()
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        parameter = parameters[int(index)]
        if key == "step":
            continue
        if third:
            safe_set_local_optimizer_state(parameter, _part(tensor, parameter).to(parameter.device), key)
        else:
            safe_set_full_optimizer_state(parameter, tensor.to(parameter.device), key)


def _part(tensor: Tensor, like: Any) -> Tensor:
    """What this process keeps of a tensor in stage 3; the last part is filled up. (DeepSpeed's own cut is not.)"""
    size = like.ds_tensor.numel()
    start = size * torch.distributed.get_rank()
    part = tensor.flatten()[start : start + size]
    return nn.functional.pad(part, (0, size - len(part)))
