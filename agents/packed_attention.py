"""Attention over packed rows: the tokens of all rows stand in one sequence, and each row's look at their own row only.

The rest of a transformer treats every token by itself, so with this function in place of its attention a model runs
many episodes of different lengths without padding. Models call it by the name that transformers has registered.

A pass consists of parts, one a row. Parts go through attention in groups: on a CPU, neighbours of similar length
together; elsewhere all of them, padded.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import AttentionInterface

from oreo.models.packing import attention

_ROW_BY_ROW = ("cpu",)
"""Devices on which a few more calls cost less than padding all rows to the longest."""
_WORTH_A_CALL = 100_000
"""Work (see `_work`) that is done in the time that a call takes to begin: 20 microseconds, measured on one core."""
_NAME = "oreo_ragged"


@dataclass
class Part:
    """One row's share of a pass."""

    row: int
    first: int
    """Its tokens are first..last of the pass."""
    last: int
    mask: Tensor
    """[tokens, slots] added to the attention scores: 0 where a token may look, -inf elsewhere."""
    position: np.ndarray
    """[tokens] of its tokens."""
    slot_position: np.ndarray
    """[slots] of what stands in its slots."""
    sees_all: bool = False
    """Nothing in the mask is hidden, so it can be left out."""

    def __post_init__(self) -> None:
        self.tokens, self.slots = self.mask.shape


class Pass:
    """The parts of a forward pass."""

    def __init__(self, parts: list[Part]) -> None:
        self.parts = parts
        self.windows: list[int | None] = []
        """What each layer said of its window."""
        self._groups: dict[tuple[int | None, torch.device], list[_Group]] = {}

    def groups(self, window: int | None, width: int, device: torch.device) -> list[_Group]:
        """What goes through attention in one call each.

        Args:
            window: N: a token sees its own position and the N - 1 before it; None: all.
            width: numbers in a slot.
            device: of the layer; a model may be spread over several.
        """
        key = (window, device)
        if key not in self._groups:
            together = _alike(self.parts, width) if device.type in _ROW_BY_ROW else [self.parts]
            self._groups[key] = [_Group(parts, window, device) for parts in together]
        return self._groups[key]


class _Group:
    """Parts that go through attention in one call, padded to the longest of them."""

    def __init__(self, parts: list[Part], window: int | None, device: torch.device) -> None:
        self.first, self.last = parts[0].first, parts[-1].last
        counts = np.array([part.tokens for part in parts])
        self.parts, self.tokens = len(parts), int(counts.max())
        self._real = self._spread = None
        if counts.min() < self.tokens:
            place = np.arange(self.tokens) < counts[:, None]
            self._real = torch.from_numpy(np.flatnonzero(place)).to(device)
            """[tokens of all parts] where they stand when they are padded."""
            self._spread = torch.from_numpy(np.maximum(place.cumsum() - 1, 0)).to(device)
            """[parts * tokens] the token that stands there; for a pad the one before it."""
        self.slots = max(part.slots for part in parts)
        rows = [part.row for part in parts]
        steady = rows == list(range(rows[0], rows[0] + len(rows)))
        self.rows: Any = slice(rows[0], rows[-1] + 1) if steady else torch.tensor(rows, device=device)
        if window is not None and self.slots <= window:
            window = None
        self.mask = self._mask(parts, window, device)
        """[parts, 1, tokens, slots], or None where everything is seen."""

    def _mask(self, parts: list[Part], window: int | None, device: torch.device) -> Tensor | None:
        if window is None and all(part.sees_all for part in parts):
            ends = [part.slots for part in parts]
            if min(ends) == self.slots:
                return None
            hidden = torch.arange(self.slots, device=device) >= torch.tensor(ends, device=device)[:, None]
            return torch.zeros(hidden.shape, dtype=parts[0].mask.dtype, device=device).masked_fill_(hidden, -torch.inf)[
                :, None, None
            ]
        masks = [(part.mask if window is None else _narrowed(part, window)).to(device) for part in parts]
        if len(masks) == 1:
            return masks[0][None, None]
        mask = masks[0].new_full((len(parts), 1, self.tokens, self.slots), -torch.inf)
        mask[..., 0] = 0  # a pad has to look somewhere
        for index, part_mask in enumerate(masks):
            mask[index, 0, : part_mask.shape[0], : part_mask.shape[1]] = part_mask
        return mask

    def padded(self, query: Tensor) -> Tensor:
        """[1, heads, N, width] → [parts, heads, tokens, width]."""
        queries = query[0, :, self.first : self.last]
        if self._spread is not None:
            queries = queries[:, self._spread]
        return queries.unflatten(1, (self.parts, self.tokens)).transpose(0, 1)

    def packed(self, attended: Tensor) -> Tensor:
        """The inverse of `padded`, heads second: [tokens of all parts, heads, width]."""
        rows = attended.transpose(1, 2).flatten(0, 1)
        return rows if self._real is None else rows[self._real]


def _alike(parts: list[Part], width: int) -> list[list[Part]]:
    """Cut the parts where one call for two neighbours would waste more than a second call costs."""
    groups: list[list[Part]] = []
    row = total = slots = tokens = 0
    for part in parts:
        if groups and part.row == row + 1:
            count = len(groups[-1]) + 1
            together = _work(max(slots, part.slots), max(tokens, part.tokens)) * count
            if (together - total - _work(part.slots, part.tokens)) * width <= _WORTH_A_CALL * count:
                groups[-1].append(part)
                row, slots, tokens = part.row, max(slots, part.slots), max(tokens, part.tokens)
                total += _work(part.slots, part.tokens)
                continue
        groups.append([part])
        row, slots, tokens = part.row, part.slots, part.tokens
        total = _work(slots, tokens)
    return groups


def _work(slots: int, tokens: int) -> int:
    """Of attention to N slots, for each number in a slot: fetching it costs about as much as one more token."""
    return slots * (tokens + 1)


def _narrowed(part: Part, window: int) -> Tensor:
    """The part's mask without what is further back than `window` positions."""
    far = part.slot_position[None] <= part.position[:, None] - window
    return part.mask.masked_fill(torch.from_numpy(far).to(part.mask.device), -torch.inf)


_in_progress: Pass | None = None
"""The pass that is being run; attention layers have no other way to learn of it."""


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
    **kwargs: Any,
) -> tuple[Tensor, None]:
    """The attention function that models call: queries [1, heads, N, width] → [1, N, heads, width]."""
    assert _in_progress is not None, "models run with this attention only inside `packed`"
    if s_aux is not None:
        raise NotImplementedError("attention sinks")
    _in_progress.windows.append(sliding_window)
    rows = []
    for group in _in_progress.groups(sliding_window, key.shape[1] * key.shape[3], key.device):
        keys, values = key[group.rows, :, : group.slots], value[group.rows, :, : group.slots]
        attended = attention(group.padded(query), keys, values, group.mask, scaling, softcap)
        rows.append(group.packed(attended))
    return torch.cat(rows)[None], None


AttentionInterface.register(_NAME, _attend)


@contextmanager
def packed(configs: list[Any], parts: list[Part]) -> Iterator[Pass]:
    """Within it, models with these configurations use the attention above, on these parts."""
    global _in_progress
    before = [config._attn_implementation for config in configs]
    outer, _in_progress = _in_progress, Pass(parts)
    try:
        for config in configs:
            config._attn_implementation = _NAME
        yield _in_progress
    finally:
        _in_progress = outer
        for config, name in zip(configs, before, strict=True):
            config._attn_implementation = name
