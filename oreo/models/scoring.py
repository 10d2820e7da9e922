"""Log-probability of chosen tokens and the exact KL of two distributions, from hidden states and output layers.

N action tokens, H hidden, V vocabulary. Rows go through the output layers in chunks of n, and what has V columns lives
for one chunk only: at most three [n, V] tensors in float32 and a narrower one at a time, forward and backward.

The backward pass is written out. With z the logits, π their softmax, d = log π − log π_ref, and the gradients g and k
that arrive at log π(a) and at KL(π ‖ π_ref) = Σ π d,

    ∂/∂z = g (1_a − π) + k π (d − KL),    ∂/∂states = ∂/∂z W,    ∂/∂W = (∂/∂z)ᵀ states

g and k are known only when all log-probabilities are (OREO's residual sums over the trajectory), and ∂/∂W mixes rows by
them. So π and d are either kept, [N, V] numbers, or computed again. Counted in products of a row and a [V, H] matrix:
the forward pass takes 2 (policy, reference), the gradients 2, having π and d again 2; in all 6, and 5 where the loss
has no KL, since then only π is needed again. To form π W and (π d) W in the forward pass, as fused cross-entropies do
(their g is one constant), would take 2 more there and still π and d again for ∂/∂W: 7. Where all rows fit into one
chunk, π and d are kept: 4, as with full logits.

Not here: layers that do more than multiply (oreo.models.loading runs those as modules, with autograd).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

CHUNK = {"cpu": 1 << 25, "other": 1 << 27}
"""Logits in a chunk, in numbers, by device: 128 MiB in float32, 512 MiB; three times that at the most crowded moment.
On a CPU half as many took 6 to 10 % longer, half as many again 3 % less (V = 151,936). On a GPU products are cheap, and
the float32 ∂/∂W, as large as H rows of logits, is read and written for each chunk: n near H is reasoned; not tried."""


class Layer(NamedTuple):
    """An output layer: logits are states Wᵀ + b."""

    weight: Tensor
    """[V, H]."""
    bias: Tensor | None = None
    """[V]."""


def score(
    states: Tensor,
    layer: Layer,
    targets: Tensor,
    reference: tuple[Tensor, Layer] | None = None,
    *,
    kl: bool = True,
    rows: int | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Score tokens under a policy and a reference.

    Products are in the dtype of autocast, where it is on, else in that of the weight; logits become float32 (float64
    stays) before the softmax. Gradients are made for those of states, weight and bias that require them, and never for
    the reference. They cannot be differentiated again.

    Args:
        states: [N, H] hidden states that predict the tokens.
        layer: the policy's output layer.
        targets: [N] token ids.
        reference: [N, H] states and output layer of π_ref; None leaves its outputs zero.
        kl: whether the KL is wanted; False leaves it zero.
        rows: of a chunk; None: `chunk_rows`.

    Returns:
        log π(a|s), log π_ref(a|s) and KL(π(·|s) ‖ π_ref(·|s)), each [N], float32 or float64.
    """
    rows = rows or chunk_rows(len(layer.weight), states.device)
    others, other = reference if reference is not None and kl else (None, Layer(layer.weight.detach()))
    wanted = torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in (states, *layer))
    log_prob, theirs, divergence = _Score.apply(
        states, *layer, targets, others, *other, rows, wanted and len(states) <= rows
    )
    if reference is not None and not kl:
        with torch.no_grad():
            theirs, _, _ = score(*reference, targets, rows=rows)
    return log_prob, theirs, divergence


def plain_layer(module: Any) -> Layer | None:
    """The output layer as tensors, if it is a plain one whose numbers are all here; None: the module has to be run.

    None for subclasses of nn.Linear (quantised ones are), adapters, hooks, and parameters that are spread over
    processes until the module is called (DTensor; DeepSpeed's are empty then). FSDP gathers what it wraps outermost
    before that module's forward pass; where transformer layers are what is wrapped within, the output layer is whole.
    """
    if type(module) is not nn.Linear or module._forward_hooks or module._forward_pre_hooks:
        return None
    layer = Layer(module.weight, module.bias)
    plain = all(tensor is None or type(tensor) in (Tensor, nn.Parameter) for tensor in layer)
    return layer if plain and layer.weight.ndim == 2 else None


def chunk_rows(vocabulary: int, device: torch.device) -> int:
    """How many rows of logits are held at once."""
    return max(1, CHUNK["cpu" if device.type == "cpu" else "other"] // vocabulary)


def chunks(count: int, rows: int) -> Iterator[slice]:
    """Cut 0 … count−1 into the fewest parts of at most `rows`, about equally long."""
    parts = -(-count // rows)
    for index in range(parts):
        yield slice(count * index // parts, count * (index + 1) // parts)


class _Score(torch.autograd.Function):
    """`score`, with the reference where KL is wanted and without any where it is not."""

    @staticmethod
    def forward(
        ctx: Any,
        states: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        targets: Tensor,
        others: Tensor | None,
        other_weight: Tensor,
        other_bias: Tensor | None,
        rows: int,
        keep: bool,
    ) -> tuple[Tensor, Tensor, Tensor]:
        device = states.device.type
        ctx.dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else weight.dtype
        ctx.rows = rows
        ctx.set_materialize_grads(False)
        log_prob, theirs, kl = (states.new_zeros(len(states), dtype=_wide(ctx.dtype)) for _ in range(3))
        pi = log_ratio = None
        with torch.autocast(device, enabled=False):
            ours, reference = _layer(weight, bias, ctx.dtype), _layer(other_weight, other_bias, ctx.dtype)
            for part in chunks(len(states), rows):
                log_pi = _log_softmax(states[part], ours)
                log_prob[part] = log_pi.gather(1, targets[part, None])[:, 0]
                if others is not None:
                    log_ref = _log_softmax(others[part], reference)
                    theirs[part] = log_ref.gather(1, targets[part, None])[:, 0]
                    log_ratio = torch.sub(log_pi, log_ref, out=log_ref)
                    pi = log_pi.exp_()
                    kl[part] = (pi * log_ratio if keep else log_ratio.mul_(pi)).sum(1)
                    del log_ref
                elif keep:
                    pi = log_pi.exp_()
                if not keep:
                    pi = log_ratio = None
                del log_pi
        ctx.mark_non_differentiable(theirs)
        ctx.save_for_backward(states, weight, bias, targets, others, other_weight, other_bias, kl, pi, log_ratio)
        return log_prob, theirs, kl

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, g: Tensor | None, _: None, k: Tensor | None) -> tuple[Tensor | None, ...]:
        states, weight, bias, targets, others, other_weight, other_bias, kl, *kept = ctx.saved_tensors
        k = None if others is None else k
        for_states, for_weight, for_bias = ctx.needs_input_grad[:3]
        dtype, wide = ctx.dtype, _wide(ctx.dtype)
        d_states = torch.zeros_like(states) if for_states else None
        d_weight = None
        d_bias = torch.zeros_like(bias, dtype=wide) if for_bias else None
        parts = list(chunks(len(states), ctx.rows)) if g is not None or k is not None else []
        row_g = torch.zeros_like(kl) if g is None else g
        with torch.autocast(states.device.type, enabled=False):
            ours, reference = _layer(weight, bias, dtype), _layer(other_weight, other_bias, dtype)
            for part in parts:
                pi, log_ratio = kept
                if pi is None:
                    pi = _log_softmax(states[part], ours)
                    if k is not None:
                        log_ratio = _log_softmax(others[part], reference)
                        torch.sub(pi, log_ratio, out=log_ratio)
                    pi.exp_()
                if k is None:
                    d_logits = pi * -row_g[part, None]
                else:
                    constant = row_g[part, None] + k[part, None] * kl[part, None]
                    d_logits = (log_ratio * k[part, None]).sub_(constant).mul_(pi)
                d_logits.scatter_add_(1, targets[part, None], row_g[part, None])
                del pi, log_ratio
                if d_bias is not None:
                    d_bias += d_logits.sum(0)
                d_logits = d_logits.to(dtype)
                if d_states is not None:
                    d_states[part] = d_logits @ ours.weight
                if for_weight:
                    row_states = states[part].to(dtype)
                    if d_weight is None:
                        # Over several chunks in float32: in bfloat16 each sum would round the whole gradient again.
                        d_weight = (d_logits.T @ row_states).to(wide if len(parts) > 1 else dtype)
                    elif d_weight.dtype == dtype:
                        d_weight.addmm_(d_logits.T, row_states)
                    else:
                        d_weight += d_logits.T @ row_states
                del d_logits
        if for_weight:
            d_weight = torch.zeros_like(weight) if d_weight is None else d_weight.to(weight.dtype)
        d_bias = None if d_bias is None else d_bias.to(bias.dtype)
        return d_states, d_weight, d_bias, None, None, None, None, None, None


def _wide(dtype: torch.dtype) -> torch.dtype:
    return torch.promote_types(dtype, torch.float32)


def _layer(weight: Tensor, bias: Tensor | None, dtype: torch.dtype) -> Layer:
    return Layer(weight.to(dtype), None if bias is None else bias.to(dtype))


def _log_softmax(states: Tensor, layer: Layer) -> Tensor:
    """[n, V] of [n, H] states, in at least float32."""
    dtype = layer.weight.dtype
    return nn.functional.linear(states.to(dtype), *layer).log_softmax(1, dtype=_wide(dtype))
