"""Packing: the rows of a micro-batch end to end in one sequence, without padding; what rows begin with alike, once.

A transformer treats every token by itself except in attention, so a packed sequence needs two things: the position of
each token in its row, and an attention in which a token sees what is before it in its own row. Rows form a forest of
segments here: where several begin with the same tokens, these are one segment, and what follows them in each row is a
child of it. A token sees the segments above its own, all of them, and its own up to itself. Gradients of shared tokens
are the sums over the rows that share them, so losses are the same as with every row padded and for itself.

The attention function is called by the name that transformers has registered and gets the `Packing` as a keyword that
models pass through. A recomputed block (activation checkpointing) so gets the same one. Which models can be run this
way `packs` finds out by trying.

Not here: acting, which also packs but keeps what it has read (oreo.agents.packed_attention).
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import AttentionInterface

_NAME = "oreo_packing"
SHARED = 32
"""Tokens that rows have to begin with alike for these to become a segment of their own. A segment more is a call of the
attention more in each layer, and its keys are copied for each of its children: that costs about as much as a dozen
tokens do in a model of 0.5B, measured on one core."""


@dataclass(frozen=True)
class Segment:
    """A part of the packed sequence that is one row's, or the common beginning of several rows'."""

    length: int
    above: tuple[int, ...] = ()
    """Indices of the segments that come before it in its rows, in order."""
    start: int = 0
    """Position of its first token: the sum of the lengths above."""


@dataclass(frozen=True)
class Packing:
    """Where the tokens of padded rows [B, T] stand in a sequence of N."""

    input_ids: Tensor
    """[1, N]."""
    position_ids: Tensor
    """[1, N] of each token in its row."""
    place: Tensor
    """[B, T] index into the sequence; 0 where a row has no token that matters."""
    segments: tuple[Segment, ...]
    """In the order of the sequence."""

    def to(self, device: torch.device) -> Packing:
        moved = {name: getattr(self, name).to(device, non_blocking=True) for name in ("input_ids", "position_ids")}
        return dataclasses.replace(self, **moved, place=self.place.to(device, non_blocking=True))

    def inputs(self, model: Any) -> dict[str, Any]:
        """Arguments of a model that `prepare` was called on; any other would mix rows."""
        assert model.config._attn_implementation == _NAME, "packed rows for a model that was not prepared for them"
        return {
            "input_ids": self.input_ids,
            "position_ids": self.position_ids,
            "use_cache": False,
            "packing": self,
        }


def pack(rows: Sequence[np.ndarray], width: int, shared: int = SHARED) -> Packing:
    """Lay rows of token ids out.

    Args:
        rows: [B] of them, one token at least each.
        width: T, at least the length of the longest.
        shared: see SHARED.
    """
    order = sorted(range(len(rows)), key=lambda row: rows[row].tolist())
    alike = [0] + [_common(rows[row], rows[next_row]) for row, next_row in zip(order, order[1:], strict=False)]
    place = np.zeros((len(rows), width), dtype=np.int64)
    segments: list[Segment] = []
    tokens: list[np.ndarray] = []
    positions: list[np.ndarray] = []
    total = 0
    # Rows first..last-1 of the order agree up to `start`, where the segments above them end.
    stack: list[tuple[int, int, int, tuple[int, ...]]] = [(0, len(order), 0, ())]
    while stack:
        first, last, start, above = stack.pop()
        end = min(alike[first + 1 : last], default=len(rows[order[first]]))
        if last - first > 1 and end - start < shared:
            # What they all share is too little. Some of them may share more: cut where neighbours do not.
            cuts = [row for row in range(first + 1, last) if alike[row] - start < shared]
            bounds = [first, *cuts, last]
            stack += [(low, high, start, above) for low, high in zip(bounds, bounds[1:], strict=False)][::-1]
            continue
        members = order[first:last]
        if end > start:
            place[members, start:end] = np.arange(total, total + end - start)
            tokens.append(rows[members[0]][start:end])
            positions.append(np.arange(start, end))
            segments.append(Segment(end - start, above, start))
            total += end - start
            above = (*above, len(segments) - 1)
        # Rows that end here have no more; sorted, they are the first ones.
        longer = [row for row in range(first, last) if len(rows[order[row]]) > end]
        if last - first > 1 and longer:
            stack.append((longer[0], last, end, above))
    packed, position = (torch.from_numpy(np.concatenate(parts))[None].long() for parts in (tokens, positions))
    return Packing(packed, position, torch.from_numpy(place), tuple(segments))


def _common(ids: np.ndarray, other_ids: np.ndarray) -> int:
    """How many tokens both begin with."""
    length = min(len(ids), len(other_ids))
    apart = np.flatnonzero(ids[:length] != other_ids[:length])
    return int(apart[0]) if len(apart) else length


# Attention.


def _attend(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    dropout: float = 0.0,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    packing: Packing | None = None,
    windows: list[int | None] | None = None,
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The attention function that models call: queries [1, heads, N, width] → [1, N, heads, width]."""
    if packing is None:
        raise ValueError("a model that was prepared for packing was called without one, or does not pass it on")
    if s_aux is not None:
        raise NotImplementedError("attention sinks")
    if windows is not None:
        windows.append(sliding_window)
    # By `split`, whose gradient is one concatenation: that of a slice is as long as the whole sequence.
    lengths = [segment.length for segment in packing.segments]
    queries, keys, values = (tensor.split(lengths, dim=2) for tensor in (query, key, value))
    attended = []
    for index, segment in enumerate(packing.segments):
        seen = [*segment.above, index]
        ours, theirs = (
            torch.cat([pieces[i] for i in seen], 2) if segment.above else pieces[index] for pieces in (keys, values)
        )
        attended.append(_causal(queries[index], ours, theirs, scaling, sliding_window, softcap))
    return torch.cat(attended, dim=2).transpose(1, 2), None


def _causal(
    query: Tensor, key: Tensor, value: Tensor, scaling: float | None, window: int | None, softcap: float | None
) -> Tensor:
    """Queries [1, heads, S, width] at the last S of the keys' positions [1, key heads, P + S, width]."""
    tokens, slots = query.shape[2], key.shape[2]
    if tokens == slots and softcap is None and (window is None or slots <= window):
        return attention(query, key, value, None, scaling, causal=True)
    position = torch.arange(slots, device=key.device)
    back = position[slots - tokens :, None] - position
    seen = back >= 0 if window is None else (back >= 0) & (back < window)
    return attention(query, key, value, seen, scaling, softcap)


def attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scaling: float | None = None,
    softcap: float | None = None,
    *,
    causal: bool = False,
) -> Tensor:
    """Ordinary attention over [rows, heads, tokens, width], with fewer key heads than query heads where grouped.

    Args:
        mask: what may be seen, bool, or added to the scores; None: everything, or with `causal` what is not later.
    """
    grouped = query.shape[1] != key.shape[1]
    if softcap is None:
        return F.scaled_dot_product_attention(
            query, key, value, mask, is_causal=causal, scale=scaling, enable_gqa=grouped
        )
    assert not causal, "only with a mask"
    if grouped:
        key, value = (tensor.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for tensor in (key, value))
    scores = query @ key.transpose(-1, -2) * (scaling or query.shape[-1] ** -0.5)
    scores = softcap * torch.tanh(scores / softcap)
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf) if mask.dtype == torch.bool else scores + mask
    return scores.softmax(-1, dtype=torch.float32).to(query.dtype) @ value


AttentionInterface.register(_NAME, _attend)


# Models.


def prepare(models: Sequence[Any]) -> bool:
    """Let models be called with `Packing.inputs`, and from then on in no other way; False, with a warning and nothing
    changed, where a small trial shows that one of them cannot be.

    Args:
        models: of transformers, causal, any heads; all in one call, with autocast on if it will be.
    """
    modules = [module for model in models for module in model.modules() if hasattr(module, "config")]
    configs = list({id(module.config): module.config for module in modules}.values())
    before = [config._attn_implementation for config in configs]
    expected = [_alone(model) for model in models]
    for config in configs:
        config._attn_implementation = _NAME
    for model, outputs in zip(models, expected, strict=True):
        try:
            why = _difference(model, outputs)
        except Exception as error:  # whatever a model's code raises when it is called as it does not expect
            why = f"{type(error).__name__}: {str(error).strip()[:80]!r}"
        if why:
            for config, name in zip(configs, before, strict=True):
                config._attn_implementation = name
            warnings.warn(
                f"{type(model).__name__} cannot be trained on packed rows ({why}); they are padded", stacklevel=2
            )
            return False
    return True


_TRIAL = ([3, 10, 17, 4, 8], [3, 10, 17, 24, 1, 2, 9], [5, 6])
"""Rows of which two begin alike."""


@torch.no_grad()
def _alone(model: Any) -> list[Tensor]:
    """Outputs [T, H + V] of each trial row by itself."""
    ids = [torch.tensor([row], device=_device(model)) % _vocabulary(model) for row in _TRIAL]
    return [_outputs(model, input_ids=row, use_cache=False) for row in ids]


@torch.no_grad()
def _difference(model: Any, alone: list[Tensor]) -> str | None:
    """What is wrong with the outputs of the rows packed."""
    rows = [np.array(row) % _vocabulary(model) for row in _TRIAL]
    packing = pack(rows, max(map(len, rows)), shared=2).to(_device(model))
    windows: list[int | None] = []
    outputs = _outputs(model, **packing.inputs(model), windows=windows)
    if windowed(model) and not any(windows):
        # Too long a window to be seen in a trial, and in a mask that our attention does not look at.
        return "its attention is told of windows by a mask alone"
    exact = model.dtype == torch.float32 and not torch.is_autocast_enabled(outputs.device.type)
    for row, expected in enumerate(alone):
        apart = (outputs[packing.place[row, : len(expected)]] - expected).abs().max()
        if apart > (1e-3 if exact else 5e-2) * max(1e-3, float(expected.abs().max())):
            return "its outputs differ"
    return None


def _outputs(model: Any, **inputs: Any) -> Tensor:
    """[N, H + V] float32: hidden states too, since a new value has a head of zeros."""
    states, logits = model.base_model(**inputs).last_hidden_state, model(**inputs).logits
    return torch.cat([states[0].float(), logits[0].float()], dim=1)


def _device(model: Any) -> torch.device:
    return next(model.parameters()).device


def _vocabulary(model: Any) -> int:
    return int(model.config.get_text_config().vocab_size)


def windowed(model: Any) -> bool:
    """Whether tokens of some layers do not look back to the beginning."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None) or ()
    # Some models make a mask with a window whatever their layers are said to be.
    window = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return bool(window) or any(kind in ("sliding_attention", "chunked_attention") for kind in kinds)
