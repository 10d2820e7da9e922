"""Policy, value and reference: loading, scoring at action positions only, saving.

Everything here runs any causal language model of transformers. B rows, T positions, N action tokens, H hidden, V
vocabulary. No [B, T, V] tensor is made: the body of the model gives hidden states, those that precede an action token
are gathered ([N, H]), and only they go through the output layer, in chunks (oreo.scoring).

Padding goes on the right without an attention mask (causal attention never looks there), or anywhere with one, or
nowhere: oreo.packing.
Not here: training (oreo.trainer) and generation (oreo.agents.language_model).
"""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import json
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from oreo.errors import DataError, MissingExtra, OreoError, UsageError, did_you_mean
from oreo.files import replacing
from oreo.packing import Packing
from oreo.scoring import Layer, chunk_rows, chunks, plain_layer, score
from oreo.value_models import value_class

EMBEDDED = {"tiny": Path(__file__).parent / "tiny", "tiny-math": Path(__file__).parent / "tiny_math"}
"""The embedded models, for generated ALFWorld games and for generated problems: named so wherever one is asked for."""


# Loading.


def resolve_checkpoint(path: str | os.PathLike[str]) -> tuple[str, str | None]:
    """Find policy and value: (policy, value or None).

    Args:
        path: an output folder of `oreo train`, a model folder, "tiny" or "tiny-math" for an embedded model, or a Hub
            name.

    Raises:
        DataError: a folder that holds no model.
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
    return str(path), None


def is_model(folder: Path) -> bool:
    """Whether a folder holds a model or an adapter."""
    return (folder / "config.json").is_file() or is_adapter(folder)


def is_adapter(path: str | os.PathLike[str]) -> bool:
    """Whether a folder holds a LoRA adapter and not a whole model."""
    return (Path(path) / "adapter_config.json").is_file()


def _base_of(adapter: str) -> str:
    """Folder or Hub name of the model that an adapter belongs to; beside it, where `oreo train` had to make one."""
    try:
        name = str(json.loads((Path(adapter) / "adapter_config.json").read_text())["base_model_name_or_path"])
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"cannot read {Path(adapter) / 'adapter_config.json'}: {error}") from error
    beside = Path(adapter).parent / "base"
    return str(beside) if Path(name).name == "base" and not Path(name).exists() and beside.is_dir() else name


def _merged(model: Any, adapter: str) -> Any:
    """The model with an adapter's changes in its own weights."""
    try:
        from peft import PeftConfig, PeftModel
    except ImportError as error:
        raise MissingExtra(
            f"{adapter} is a LoRA adapter, which needs peft; install it with: pip install 'oreo-agents[peft]'"
        ) from error
    config = PeftConfig.from_pretrained(adapter)
    config.task_type = None  # a policy's adapter also fits the body of a value that starts from it
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what it sets for GPT-2's Conv1D
        merged = PeftModel.from_pretrained(model, adapter, config=config).merge_and_unload()
    return merged.requires_grad_(True)  # peft froze it


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
        DataError: no such model, weights that are incomplete, no tokenizer.
    """
    from transformers import AutoModelForCausalLM, AutoTokenizer

    name, _ = resolve_checkpoint(path)
    if is_adapter(name):
        model, _ = load_policy(_base_of(name), dtype=dtype, trust_remote_code=trust_remote_code)
        with _reading(name):
            tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=trust_remote_code)
            model = _merged(model, name)
        return _settled(model, device), tokenizer
    with _reading(name):
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=trust_remote_code)
        model, info = AutoModelForCausalLM.from_pretrained(
            name, dtype=_dtype(dtype), trust_remote_code=trust_remote_code, output_loading_info=True
        )
    if info["missing_keys"]:
        raise DataError(f"{name} lacks weights of a {type(model).__name__}: {_some(info['missing_keys'])}")
    return _settled(model, device), tokenizer


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
        model = load_value(_base_of(name), dtype=dtype, trust_remote_code=trust_remote_code)
        with _reading(name):
            return _settled(_merged(model, name), device)
    with _reading(name):
        config = AutoConfig.from_pretrained(name, num_labels=1, trust_remote_code=trust_remote_code)
        config.classifier_dropout = 0.0
        model, info = value_class(config, name).from_pretrained(
            name, config=config, dtype=_dtype(dtype), output_loading_info=True
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


def aligned(model: Any) -> Any:
    """The model with its weights where torch would have put them: those read from a file stand at any address, and the
    last bits of matrix products on CPUs depend on it, so that a resumed run would end with others."""
    for parameter in model.parameters():
        if parameter.device.type == "cpu":
            parameter.data = parameter.data.clone()
    return model


def device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _dtype(name: str) -> torch.dtype:
    known = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if name not in known:
        raise UsageError(f"unknown dtype {name!r}; {did_you_mean(name, known)}")
    return known[name]


def _some(keys: Any) -> str:
    keys = sorted(keys)
    return ", ".join(keys[:3]) + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
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
def _reading(name: str) -> Iterator[None]:
    """Quiet, and any failure to load in one line."""
    try:
        with _quiet():
            yield
    except OreoError:
        raise
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, TypeError, AttributeError) as error:
        line = (str(error).strip() or type(error).__name__).splitlines()[0]
        if not Path(name).is_dir():
            raise DataError(f"no model {name!r}: neither a folder here nor found on the Hub ({line})") from error
        raise DataError(f"cannot load a model from {name}: {line}") from error


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


# Scoring.


class Policy(nn.Module):
    """Log-probabilities of action tokens, and the exact KL to a reference, from a causal language model.

    A module, so that data-parallel wrappers see one forward call. It shares the model's parameters.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.gathers = _body_and_head_are_all(model)
        """Whether the output layer can be run on chosen positions. Where not, full logits are made, and it is said."""

    def states(
        self,
        input_ids: Tensor,
        action_mask: Tensor,
        attention_mask: Tensor | None = None,
        packing: Packing | None = None,
    ) -> Tensor:
        """[N, H] final hidden states just before each action token, row by row ([N, V] logits where not `gathers`)."""
        inputs = _inputs(self.model, input_ids, attention_mask, packing)
        if self.gathers:
            hidden = self.model.base_model(**inputs).last_hidden_state
        else:
            hidden = self.model(**inputs).logits
        if packing is not None:
            return hidden[0, packing.place[:, :-1][action_mask[:, 1:]]]
        return hidden[:, :-1][action_mask[:, 1:]]

    def logits(self, states: Tensor) -> Tensor:
        """[n, V] float32 from [n, H] states."""
        return (_project(self.model, states) if self.gathers else states).float()

    def forward(
        self,
        input_ids: Tensor,
        action_mask: Tensor,
        attention_mask: Tensor | None = None,
        *,
        reference: Policy | None = None,
        kl: bool = True,
        packing: Packing | None = None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Score the action tokens of a batch.

        Args:
            input_ids: [B, T] token ids.
            action_mask: [B, T] bool, False at position 0: the first token has no state before it.
            attention_mask: [B, T], needed where padding is not on the right.
            reference: π_ref; None leaves its outputs zero.
            kl: whether the KL is wanted; False leaves it zero.
            packing: of the same rows; models that `oreo.packing.prepare` was called on need it, others cannot use it.

        Returns:
            log π(a_t|s_t), log π_ref(a_t|s_t) and KL(π(·|s_t) ‖ π_ref(·|s_t)), each [B, T] float32, zero elsewhere.
        """
        states = self.states(input_ids, action_mask, attention_mask, packing)
        targets = input_ids[action_mask]
        reference_states = None
        if reference is not None:
            with torch.no_grad():
                reference_states = reference.states(input_ids, action_mask, attention_mask, packing)
        scores = self._scores(states, targets, reference, reference_states, kl)
        log_prob, reference_log_prob, divergence = (
            score.new_zeros(action_mask.shape).masked_scatter(action_mask, score) for score in scores
        )
        return log_prob, reference_log_prob, divergence

    def plain_layer(self) -> Layer | None:
        """The output layer, if logits are states times its weight and nothing more."""
        if not self.gathers or any(_scalings(self.model)):
            return None
        return plain_layer(self.model.get_output_embeddings())

    def _scores(
        self, states: Tensor, targets: Tensor, reference: Policy | None, others: Tensor | None, kl: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """[N] each: by oreo.scoring where output layers are plain products, else by running them."""
        layer = self.plain_layer()
        if layer is not None and (reference is None or others is None):
            return score(states, layer, targets)
        if layer is not None and reference is not None and others is not None:
            other = reference.plain_layer()
            if other is not None:
                return score(states, layer, targets, (others, other), kl=kl)
        return self._scores_by_module(states, targets, reference, others, kl)

    def _scores_by_module(
        self, states: Tensor, targets: Tensor, reference: Policy | None, others: Tensor | None, kl: bool
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The same for any output layer, by autograd: all that a chunk needs is computed again in the backward pass."""

        def chunk(states: Tensor, targets: Tensor, others: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
            log_probs = self.logits(states).log_softmax(-1)
            chosen = log_probs.gather(-1, targets[:, None])[:, 0]
            if reference is None or others is None:
                return chosen, torch.zeros_like(chosen), torch.zeros_like(chosen)
            with torch.no_grad():
                theirs = reference.logits(others).log_softmax(-1)
            divergence = (log_probs.exp() * (log_probs - theirs)).sum(-1) if kl else torch.zeros_like(chosen)
            return chosen, theirs.gather(-1, targets[:, None])[:, 0], divergence

        rows = chunk_rows(_vocabulary(self.model), states.device)
        if len(states) <= rows:
            return chunk(states, targets, others)
        scores = []
        for part in chunks(len(states), rows):
            theirs = None if others is None else others[part]
            scores.append(checkpoint(chunk, states[part], targets[part], theirs, use_reentrant=False))
        log_prob, reference_log_prob, divergence = (torch.cat(column) for column in zip(*scores, strict=True))
        return log_prob, reference_log_prob, divergence


class Value(nn.Module):
    """V(s_t) at action tokens from a value model. A module for the same reason as `Policy`."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        input_ids: Tensor,
        action_mask: Tensor,
        attention_mask: Tensor | None = None,
        *,
        packing: Packing | None = None,
    ) -> Tensor:
        """[B, T] float32: at an action token the value of the state before it, zero elsewhere. Args as `Policy`."""
        values = self.model(**_inputs(self.model, input_ids, attention_mask, packing)).logits[..., 0].float()
        if packing is not None:
            values = values[0, packing.place]
        before = torch.cat([torch.zeros_like(values[:, :1]), values[:, :-1]], dim=1)
        return torch.where(action_mask, before, 0.0)


def _inputs(model: Any, input_ids: Tensor, attention_mask: Tensor | None, packing: Packing | None) -> dict[str, Any]:
    if packing is not None:
        return packing.inputs(model)
    inputs: dict[str, Any] = {"input_ids": input_ids, "use_cache": False}
    if attention_mask is not None:
        inputs["attention_mask"] = attention_mask
        if "position_ids" in inspect.signature(model.forward).parameters:
            inputs["position_ids"] = (attention_mask.long().cumsum(1) - 1).clamp(min=0)
    return inputs


def _vocabulary(model: Any) -> int:
    return int(model.config.get_text_config().vocab_size)


def _scalings(model: Any) -> tuple[float | None, float | None, float | None]:
    """What some architectures put behind the output layer: a factor, a divisor, a cap."""
    config = model.config.get_text_config()
    return (
        getattr(config, "logit_scale", None),  # Cohere
        getattr(config, "logits_scaling", None),  # Granite
        getattr(config, "final_logit_softcapping", None),  # Gemma 2 and 3
    )


def _project(model: Any, hidden: Tensor) -> Tensor:
    """Logits of hidden states: the output layer and the scalings behind it."""
    logits: Tensor = model.get_output_embeddings()(hidden)
    factor, divisor, cap = _scalings(model)
    if factor:
        logits = logits * factor
    if divisor:
        logits = logits / divisor
    if cap:
        logits = torch.tanh(logits / cap) * cap
    return logits


def _body_and_head_are_all(model: Any) -> bool:
    """Try on a few tokens whether body, output layer and known scalings give the model's own logits."""
    ids = torch.arange(2, 8, device=device_of(model))[None] % _vocabulary(model)
    try:
        with torch.no_grad():
            hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state
            ours, theirs = _project(model, hidden).float(), model(input_ids=ids, use_cache=False).logits.float()
        same = bool(torch.allclose(ours, theirs, rtol=1e-2 if model.dtype != torch.float32 else 1e-4, atol=1e-3))
    except (AttributeError, TypeError, RuntimeError):
        same = False
    if not same:
        warnings.warn(
            f"{type(model).__name__} makes its logits in a way of its own: all of them are computed, at a cost",
            stacklevel=3,
        )
    return same


# Saving.


def save_model(
    model: Any, tokenizer: Any | None, folder: str | os.PathLike[str], weights: dict[str, Tensor] | None = None
) -> None:
    """Write an ordinary transformers folder (safetensors, tokenizer), complete or not at all.

    Args:
        weights: what to write in place of the model's own, where those are shards.
    """
    folder = Path(folder)
    with _quiet(), replacing(folder) as new:
        model.save_pretrained(new, state_dict=weights, safe_serialization=True)
        if tokenizer is not None:
            tokenizer.save_pretrained(new)


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
    found = set()
    for tensor in _tensors(source):
        if dtype is not None and tensor.is_floating_point():
            tensor = tensor.to(_dtype(dtype))
        tensor = tensor.detach().cpu().contiguous()
        each = hashlib.sha256(f"{tensor.dtype} {list(tensor.shape)} ".encode())
        each.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
        found.add(each.digest())
    return hashlib.sha256(b"".join(sorted(found))).hexdigest()[:16]


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
