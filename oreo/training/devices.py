"""Processes and devices of a training run: alone, as copies (DDP), or as shards of one copy (FSDP2, DeepSpeed ZeRO).

The launcher (`accelerate launch`, torchrun) says which through the environment; configurations for it are in
oreo/training/recipes/accelerate/. Accelerate finds the processes and makes copies; shards are torch's own
`fully_shard`, which also runs on CPUs, or DeepSpeed's (oreo.training.deepspeed_zero).
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from oreo.errors import UsageError
from oreo.training import deepspeed_zero


def connect(bf16: bool, **more: Any) -> Any:
    """The Accelerator of this process, which knows the others; `more` are further arguments of it.

    Raises:
        UsageError: a way of sharing work that is not supported, or processes that do not find each other.
    """
    if not torch.accelerator.is_available():
        # Where DeepSpeed is installed, used or not, it would remark on that on the standard output.
        os.environ.setdefault("DS_ACCELERATOR", "cpu")
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState
    from accelerate.utils import patch_environment

    if _is_set("ACCELERATE_USE_MEGATRON_LM"):
        raise UsageError("Megatron-LM is not supported; FSDP2 and ZeRO shard models: configuration fsdp2.yaml")
    if _zero():
        deepspeed_zero.settings()
    if _fsdp():
        if os.environ.get("FSDP_VERSION", "1") != "2":
            raise UsageError("FSDP 1 is not supported; set fsdp_version: 2, as in fsdp2.yaml")
        if _is_set("FSDP_ACTIVATION_CHECKPOINTING"):
            raise UsageError(
                "fsdp_activation_checkpointing is a setting of oreo's own; leave it out, and give oreo train "
                "--set checkpoint_activations=true"
            )
        if _is_set("FSDP_OFFLOAD_PARAMS"):
            raise UsageError("fsdp_offload_params is not supported; leave it out, and set micro_tokens lower")
        # With it, all processes but one would load empty weights. Each has to know the real ones.
        os.environ["FSDP_CPU_RAM_EFFICIENT_LOADING"] = "false"
    # Accelerate keeps the precision of a process's first run for all later ones, unless told to forget it.
    AcceleratorState._reset_state()
    started = int(os.environ.get("WORLD_SIZE", "1"))
    # Accelerate would drive DeepSpeed itself, with one model and one optimiser. It is only to find the processes.
    with patch_environment(ACCELERATE_USE_DEEPSPEED="false", ACCELERATE_GRADIENT_ACCUMULATION_STEPS="1"):
        # Without a GPU, and not told to use the CPU, it would let every process believe that it is alone.
        accelerator = Accelerator(
            cpu=started > 1 and not torch.accelerator.is_available(), mixed_precision="bf16" if bf16 else "no", **more
        )
    if accelerator.num_processes < started:
        raise UsageError(
            f"{started} processes were started, but this one finds only {accelerator.num_processes}; on CPUs set "
            "ACCELERATE_USE_CPU=1"
        )
    return accelerator


def disconnect() -> None:
    """Take leave of the other processes, after the last run of this one."""
    distributed = torch.distributed
    if not (distributed.is_available() and distributed.is_initialized()):
        return
    # Who hangs up while another still is in the last barrier may take it down. The store is apart from such calls; it
    # may be gone with the process that keeps it, and then all have been here.
    with contextlib.suppress(RuntimeError):
        store = distributed.distributed_c10d._get_default_store()
        store.set(f"oreo/left/{distributed.get_rank()}", "")
        store.wait([f"oreo/left/{rank}" for rank in range(distributed.get_world_size())])
    distributed.destroy_process_group()


def sharded() -> bool:
    """Whether FSDP2 or DeepSpeed is to share out models: the weights, or at least what is kept for training them."""
    return _fsdp() or _zero()


def _fsdp() -> bool:
    return _is_set("ACCELERATE_USE_FSDP")


def _zero() -> bool:
    return _is_set("ACCELERATE_USE_DEEPSPEED")


def _is_set(name: str) -> bool:
    return os.environ.get(name, "").lower() in ("1", "true", "yes")


def distribute(accelerator: Any, module: nn.Module, *, trained: bool = True) -> Any:
    """A module (`oreo.models.scorers.Policy` or `Value`) on this process's device, as a copy or in shards.

    Make its optimiser afterwards: shards are other parameters than those that were there before. Then `join` them.
    """
    if _zero() and trained:
        return module  # still whole and on the CPU; `join` shares it out
    if not (_fsdp() or _zero() and deepspeed_zero.settings()["stage"] == 3):
        return accelerator.prepare_model(module) if trained else module.to(accelerator.device)
    from accelerate.utils import FullyShardedDataParallelPlugin
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard, register_fsdp_forward_method

    plugin = FullyShardedDataParallelPlugin(fsdp_version=2)
    options: dict[str, Any] = {"reshard_after_forward": plugin.reshard_after_forward}
    if accelerator.mixed_precision == "bf16":
        options["mp_policy"] = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    module.to(accelerator.device)
    blocks = set(getattr(module.model, "_no_split_modules", None) or ())
    for child in list(module.modules()):
        if type(child).__name__ in blocks:
            fully_shard(child, **options)
    # The rest, embeddings and output layer, is used before and after the blocks and stays until the backward pass.
    fully_shard(module, **options | {"reshard_after_forward": False})
    if not trained:
        # A reference is called by these, not by its forward, and never gets to a backward pass.
        for method in ("states", "logits"):
            register_fsdp_forward_method(module, method)
    return module


def join(accelerator: Any, module: Any, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
    """A module that was distributed, and its optimiser, as they are to be used: DeepSpeed's forms of both, or these."""
    if not _zero():
        return module, optimizer
    return deepspeed_zero.engine(module, optimizer, bf16=accelerator.mixed_precision == "bf16")


def place(accelerator: Any, module: nn.Module) -> Any:
    """A module on this process's device, neither copied nor sharded; `average_gradients` is the caller's to call."""
    return accelerator.prepare_model(module, evaluation_mode=True)


def average_gradients(accelerator: Any, parameters: Iterable[Tensor]) -> None:
    """For parameters of modules that are only in their `place`."""
    if accelerator.num_processes > 1:
        for parameter in parameters:
            if parameter.grad is not None:
                parameter.grad = accelerator.reduce(parameter.grad, "mean")


@contextlib.contextmanager
def local(accelerator: Any, modules: Iterable[nn.Module]) -> Iterator[None]:
    """Copies keep the block's gradients to themselves; the first backward pass outside adds up all.

    Shards add theirs up at once: whole gradients of its own are what a process has no memory for.
    """
    with contextlib.ExitStack() as stack:
        if _zero():
            stack.enter_context(deepspeed_zero.more_to_come(modules))
        elif accelerator.num_processes > 1 and not _fsdp():
            for module in modules:
                stack.enter_context(accelerator.no_sync(module))
        yield


def clip_gradients(optimizer: Any, limit: float) -> float:
    """Scale an optimiser's gradient down to this norm; returns the norm before, of all shards together."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        return deepspeed_zero.clip_gradients(optimizer, limit)
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    return float(whole(torch.nn.utils.clip_grad_norm_(parameters, limit)))


def whole(tensor: Tensor) -> Tensor:
    """The tensor of which this may be a shard. All processes have to ask for it."""
    from torch.distributed.tensor import DTensor

    if hasattr(tensor, "ds_id"):  # ZeRO's, stage 3
        from deepspeed.utils import safe_get_full_fp32_param

        return safe_get_full_fp32_param(tensor)
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def part(tensor: Tensor, like: Tensor) -> Tensor:
    """The shard of `tensor` that belongs beside `like`; all of it where `like` is no shard."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(like, DTensor) or tensor.shape != like.shape:
        return tensor
    return distribute_tensor(tensor.to(like.device), like.device_mesh, like.placements)


def weights(model: nn.Module, *, keep: bool) -> dict[str, Tensor] | None:
    """Whole weights of a sharded model on the CPU, None of one that is not sharded. All processes have to ask.

    Args:
        keep: whether this process wants them; the others give their shards and get nothing.
    """
    if not sharded():
        return None
    kept: dict[str, Tensor] = {}
    seen = set()
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) in seen:  # tied, and stored once as transformers does
            continue
        seen.add(id(tensor))
        tensor = whole(tensor).detach()
        if keep:
            kept[name] = tensor.to("cpu", copy=True)  # ZeRO's whole weights are pieces of one tensor
    return kept


def moments(optimizer: Any, parameters: Sequence[nn.Parameter], *, keep: bool) -> dict[str, Tensor]:
    """What an optimiser remembers of its parameters, on the CPU, by `index.key`. Otherwise as `weights`."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        return deepspeed_zero.moments(optimizer, parameters, keep=keep)
    tensors: dict[str, Tensor] = {}
    for index, entries in optimizer.state_dict()["state"].items():
        for key, tensor in entries.items():
            tensor = whole(tensor)
            if keep:
                tensors[f"{index}.{key}"] = tensor.cpu()
    return tensors


def set_moments(optimizer: Any, parameters: Sequence[nn.Parameter], tensors: dict[str, Tensor]) -> None:
    """Put `moments` back, whatever the number of processes was then."""
    if not isinstance(optimizer, torch.optim.Optimizer):
        return deepspeed_zero.set_moments(optimizer, parameters, tensors)
    states: dict[int, dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        index, key = name.split(".", 1)
        states.setdefault(int(index), {})[key] = part(tensor, parameters[int(index)])
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
