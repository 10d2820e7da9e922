"""What a model has read of many episodes at once: one key-value cache, a row an episode, each row its own length.

Token i of a row stands in slot i. So a row is cut back by lowering its length, and a finished one gives its place to
another. The new tokens of all rows are packed into one sequence without padding; in the attention layers each row's
tokens look at their own row (packed_attention.py), everywhere else a model does not mix tokens.

    cache.retain(keys)                      the episodes still wanted, old ones in place, new ones empty
    cache.fork({key: old})                  a copy of an episode, to go on with differently
    logits = cache.read(histories)          catch up with each episode's tokens; outputs at its last one
    logits = cache.extend(tokens, parents)  one token further, after any of the last outputs, after some more than once
    values = cache.values(candidates)       outputs after whole candidates of every row, side by side, in one pass
    cache.log_probs(logits, candidates)     how likely each of them is
    cache.commit(kept)                      a continuation becomes part of its row, the others are forgotten

The continuations of a row are a tree (trie.py): what several of them begin with is read once. They share the row's
slots: they are queries that see the row and their own tokens, so none costs a copy of what the row holds. Letters:
n rows, N tokens of a pass, S slots, V outputs (logits, or values).

Works for transformers models that take position_ids and a Cache and call the attention they are told to. Not here:
which tokens an episode consists of (language_model.py), models without these (rereading.py).
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers.cache_utils import Cache

from oreo.agents.packed_attention import Part, packed
from oreo.agents.trie import ROOT, Trie, plant

_TOKENS_AT_ONCE = 1 << 14
"""Tokens in one forward pass while reading: bounds the memory of activations."""
_NUMBERS_AT_ONCE = 1 << 27
"""Logits in memory while candidates are scored: half a gigabyte."""
_SPARE_SLOTS = 128
"""Storage grows by half, and by at least this many slots, so that not every token copies it."""


class _Storage(Cache):
    """Keys and values of all layers, [rows, heads, slots, width] each."""

    def __init__(self) -> None:
        super().__init__(layers=[])
        self.layers_kept: dict[int, tuple[Tensor, Tensor]] = {}
        self.rows = self.slots = 0

    def reserve(self, rows: int, slots: int) -> None:
        """Make room; what is stored stays."""
        if rows <= self.rows and slots <= self.slots:
            return
        self.rows = max(rows, self.rows)
        self.slots = max(slots + max(_SPARE_SLOTS, slots // 2), self.slots) if slots > self.slots else self.slots
        for layer, pair in self.layers_kept.items():
            self.layers_kept[layer] = (self._enlarged(pair[0]), self._enlarged(pair[1]))

    def _enlarged(self, old: Tensor) -> Tensor:
        new = self._empty(old)
        new[: old.shape[0], :, : old.shape[2]] = old
        return new

    def _empty(self, like: Tensor) -> Tensor:
        # Zeros and not garbage: a masked slot weighs 0, and 0 times NaN is NaN.
        return like.new_zeros(self.rows, like.shape[1], self.slots, like.shape[3])

    def aim(self, parts: list[Part], slot: np.ndarray) -> None:
        """Say what the next pass is: its parts, and the slot [N] of each token."""
        counts = [part.tokens for part in parts]
        self._row = torch.from_numpy(np.repeat([part.row for part in parts], counts))
        self._slot = torch.from_numpy(slot)
        self._device = self._row.device

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        """Store a layer's new keys and values [1, heads, N, width]; returns all that is stored, for the attention."""
        if layer_idx not in self.layers_kept:
            self.layers_kept[layer_idx] = (self._empty(key_states), self._empty(value_states))
        if self._device != key_states.device:  # a model may be spread over several devices
            self._device = key_states.device
            self._row, self._slot = self._row.to(self._device), self._slot.to(self._device)
        keys, values = self.layers_kept[layer_idx]
        keys[self._row, :, self._slot] = key_states[0].transpose(0, 1)
        values[self._row, :, self._slot] = value_states[0].transpose(0, 1)
        return keys, values

    def move(self, row: np.ndarray, source: np.ndarray, target: np.ndarray) -> None:
        """Copy single slots within rows; index arrays of one shape."""
        indices = [torch.from_numpy(index) for index in (row, source, target)]
        for pair in self.layers_kept.values():
            for storage in pair:
                rows, sources, targets = (index.to(storage.device) for index in indices)
                storage[rows, :, targets] = storage[rows, :, sources]

    def copy_row(self, source: int, target: int, slots: int) -> None:
        for pair in self.layers_kept.values():
            for storage in pair:
                storage[target, :, :slots] = storage[source, :, :slots]

    # What some models ask of a cache besides `update`; positions are given, so little hangs on it.

    def get_seq_length(self, *args: Any, **kwargs: Any) -> int:
        return 0

    def get_mask_sizes(self, *args: Any, **kwargs: Any) -> tuple[int, int]:
        return self.slots, 0


class RaggedCache:
    """Rows of episodes as one model has read them."""

    def __init__(self, model: Any) -> None:
        """Args: model: of transformers, causal, any head; its `logits` are the outputs."""
        self.model = model
        self.keys: list[int] = []
        """The episode in each row."""
        self._ids: list[list[int]] = []
        self._storage = _Storage()
        self._tries: list[Trie] = []
        """What has been read behind each row: the token of a node stands in the slot of that number behind it."""
        self._tips: list[tuple[int, int]] = []
        """The row and the node of each output of `read` or `extend`, whichever came last."""
        self.windows: list[int | None] = []
        """How far back each layer said that a token looks, in the last pass; None: to the beginning."""
        self.limit = positions(model)
        """Positions the model knows."""
        self._device = next(model.parameters()).device
        self._chooses = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._cache_argument = cache_argument(model)
        self._configs = list({id(m.config): m.config for m in model.modules() if hasattr(m, "config")}.values())

    def retain(self, keys: Sequence[int]) -> None:
        """Drop every row whose key is not among `keys` and add an empty one for each new key, at the end."""
        self.keys, sources = rearranged(self.keys, keys)
        for row, source in enumerate(sources):
            if source != row:
                self._storage.copy_row(source, row, len(self._ids[source]))
        self._ids = [*(self._ids[source] for source in sources), *([] for _ in self.keys[len(sources) :])]

    def fork(self, copies: dict[int, int]) -> None:
        """A new row for each key, as a copy of the row of another key."""
        row_of = {key: row for row, key in enumerate(self.keys)}
        sources = [row_of[source] for source in copies.values()]
        self.keys = [*self.keys, *copies]
        self._storage.reserve(len(self.keys), max([len(self._ids[source]) for source in sources], default=0))
        for source in sources:
            self._storage.copy_row(source, len(self._ids), len(self._ids[source]))
            self._ids.append(list(self._ids[source]))

    def read(self, histories: Sequence[Sequence[int]]) -> Tensor:
        """Catch up: outputs [n, V] at the last token of each row.

        Args:
            histories: all tokens of each row's episode, in row order, at least one. Where a history departs from
                what was read before, the row is cut back to what they share.
        """
        ends = [len(history) for history in histories]
        # Where there is nothing new, the last token is read again.
        starts = [min(_shared(old, new), end - 1) for old, new, end in zip(self._ids, histories, ends, strict=True)]
        lengths = [end - start for start, end in zip(starts, ends, strict=True)]
        ramp = self._ramp(max(lengths), max(starts))
        outputs = []
        for rows in _groups(lengths, _TOKENS_AT_ONCE):
            tokens: list[int] = []
            positions, parts = [], []
            for row in rows:
                first, position = len(tokens), np.arange(starts[row], ends[row])
                tokens += histories[row][starts[row] :]
                mask = ramp[: lengths[row], max(starts) - starts[row] : max(starts) + lengths[row]]
                parts.append(Part(row, first, len(tokens), mask, position, np.arange(ends[row]), lengths[row] == 1))
                positions.append(position)
            position = np.concatenate(positions)
            outputs.append(self._run(parts, np.array(tokens), position, position, [part.last - 1 for part in parts]))
        self._ids = [list(history) for history in histories]
        self._tries = [Trie() for _ in histories]
        self._tips = [(row, ROOT) for row in range(len(histories))]
        return torch.cat(outputs)

    def extend(self, tokens: Sequence[int], parents: Sequence[int]) -> Tensor:
        """Outputs [m, V] after m tokens, each of which goes on from one of the outputs that were given last.

        Args:
            tokens: no two that are the same go on from the same output: that would be one continuation, read twice.
            parents: [m] in ascending order, the output that each goes on from. Those of `read` are numbered by row;
                a continuation whose last output is not among them has ended.
        """
        ends = [len(trie) for trie in self._tries]
        before, self._tips = self._tips, []
        for token, parent in zip(tokens, parents, strict=True):
            row, node = before[parent]
            self._tips.append((row, self._tries[row].grow(node, token)))
        parts, arrays = self._behind(range(len(ends)), ends)
        assert len(arrays[0]) == len(tokens), "a continuation was to be read twice"
        return self._run(parts, *arrays)

    def values(self, candidates: Sequence[Sequence[Sequence[int]]]) -> list[list[Tensor]]:
        """Outputs [V] at the last token of each candidate of each row, in one pass; shared beginnings are read once.

        Args:
            candidates: for each row any number of continuations, none of them empty.
        """
        self._tries, self._tips = [plant(continuations) for continuations in candidates], []
        parts, arrays = self._behind(range(len(self._tries)))
        if not parts:
            return [[] for _ in candidates]
        first = {part.row: part.first for part in parts}
        ends = [[first[row] + path[-1] for path in trie.paths] for row, trie in enumerate(self._tries)]
        wanted, place = np.unique([end for row_ends in ends for end in row_ends], return_inverse=True)
        output = self._run(parts, *arrays, wanted.tolist())
        at = iter(place.tolist())
        return [[output[next(at)] for _ in row_ends] for row_ends in ends]

    def log_probs(self, logits: Tensor, candidates: Sequence[Sequence[Sequence[int]]]) -> list[np.ndarray]:
        """Log-probability of each candidate of each row, summed over its tokens; shared beginnings are read once.

        Args:
            logits: [n, V] after each row, as `read` gave them.
            candidates: for each row any number of continuations, none of them empty. The last token of a candidate is
                not read, only its probability is.

        Returns: for each row an array [its candidates] of float64.
        """
        self._tries, self._tips = [plant([ids[:-1] for ids in continuations]) for continuations in candidates], []
        begun = logits.float().log_softmax(-1)
        scores = []
        at_once = max(1, _NUMBERS_AT_ONCE // logits.shape[-1])
        for rows in _groups([len(trie) for trie in self._tries], at_once):
            parts, arrays = self._behind(rows)
            first = {part.row: part.first for part in parts}
            output = self._run(parts, *arrays).float() if parts else logits[:0].float()
            norm = output.logsumexp(-1)
            for row in rows:
                continuations = candidates[row]
                if not continuations:
                    scores.append(np.zeros(0))
                    continue
                first_tokens = torch.tensor([ids[0] for ids in continuations], device=begun.device)
                total = begun[row][first_tokens].double().cpu().numpy()
                steps = [
                    (index, first[row] + node, token)
                    for index, (ids, path) in enumerate(zip(continuations, self._tries[row].paths, strict=True))
                    for node, token in zip(path, ids[1:], strict=True)
                ]
                if steps:
                    index, node, token = np.array(steps).T.copy()
                    nodes, tokens = (torch.from_numpy(part).to(output.device) for part in (node, token))
                    np.add.at(total, index, (output[nodes, tokens] - norm[nodes]).double().cpu().numpy())
                scores.append(total)
        return scores

    def _behind(
        self, rows: Sequence[int], starts: Sequence[int] | None = None
    ) -> tuple[list[Part], tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """A pass over the trees behind some rows: its parts; its tokens, their positions and slots.

        Args:
            starts: what has been read of each tree: that many first nodes. None: nothing.
        """
        read, count = [], 0
        for row, start in zip(rows, [0] * len(rows) if starts is None else starts, strict=True):
            trie = self._tries[row]
            if start < len(trie):
                read.append((row, trie, start, count, count := count + len(trie) - start))
        if not read:
            return [], (np.zeros(0, np.int64),) * 3
        # One mask for all: on the left what the rows hold, on the right what stands behind them.
        longest = max(len(self._ids[row]) for row, *_ in read)
        seen = np.ones((count, longest + max(len(trie) for _, trie, *_ in read)), dtype=bool)
        for _, trie, start, first, last in read:
            if not trie.straight or last - first > 1:
                seen[first:last, longest : longest + len(trie)] = trie.sees[start:]
        mask = self._additive(seen)
        slot = np.arange(seen.shape[1])
        parts, tokens, slots = [], [], []
        for row, trie, start, first, last in read:
            length, end = len(self._ids[row]), len(self._ids[row]) + len(trie)
            position = slot[:end] if trie.straight else np.concatenate([slot[:length], length + trie.depth])
            own = mask[first:last, longest - length : longest + len(trie)]
            sees_all = trie.straight and last - first == 1
            parts.append(Part(row, first, last, own, position[length + start :], position, sees_all))
            slots.append(slot[length + start : end])
            tokens += trie.tokens[start:]
        return parts, (np.array(tokens), np.concatenate([part.position for part in parts]), np.concatenate(slots))

    def commit(self, kept: Sequence[Sequence[int]]) -> None:
        """Make a continuation of each row part of it.

        Args:
            kept: its tokens, from the first on, as far as they are to stay. They have been read since `read`.
        """
        moves = []
        for row, (ids, trie) in enumerate(zip(kept, self._tries, strict=True)):
            length = len(self._ids[row])
            moves += [(row, length + node, length + at) for at, node in enumerate(trie.follow(ids)) if node != at]
            self._ids[row].extend(ids)
        if moves:
            self._storage.move(*np.array(moves).T.copy())
        self._tries, self._tips = [], []

    def _run(
        self,
        parts: list[Part],
        tokens: np.ndarray,
        position: np.ndarray,
        slot: np.ndarray,
        wanted: Sequence[int] | None = None,
    ) -> Tensor:
        """One forward pass: outputs [N, V], or those at the tokens `wanted` only.

        Args:
            tokens, position, slot: [N] what, where in the episode, where in the storage.
        """
        # A part sees the slots of ended branches too (masked), which may lie behind the last one written.
        self._storage.reserve(len(self.keys), max(part.slots for part in parts))
        self._storage.aim(parts, slot)
        chosen = None if wanted is None else torch.tensor(wanted, device=self._device)
        selecting = self._chooses and chosen is not None
        options = {"logits_to_keep": chosen} if selecting else {}
        with packed(self._configs, parts) as run:
            output = self.model(
                input_ids=torch.from_numpy(tokens)[None].to(self._device),
                # Of four dimensions, so that models leave it alone; the attention has its own.
                attention_mask=torch.zeros(1, 1, 1, 1, device=self._device),
                position_ids=torch.from_numpy(position)[None].to(self._device),
                use_cache=True,
                **options | {self._cache_argument: self._storage},
            )
        self.windows = run.windows
        logits: Tensor = output.logits[0]
        return logits if selecting or chosen is None else logits[chosen]

    def _ramp(self, tokens: int, before: int) -> Tensor:
        """[tokens, before + tokens]: token i sees all `before` and the first i + 1 of its own. Rows slice theirs."""
        return self._additive(np.tri(tokens, before + tokens, before, dtype=bool))

    def _additive(self, seen: np.ndarray) -> Tensor:
        mask = torch.zeros(seen.shape, dtype=self.model.dtype, device=self._device)
        return mask.masked_fill_(torch.from_numpy(~seen).to(self._device), -torch.inf)


def cache_argument(model: Any) -> str:
    """What a model calls its cache: transformers renamed the argument in 5.24, warns of the old name at each pass, and
    drops it in 5.40. A value model of our own hands on what it is given to the model it is made of."""
    for forward in (model.forward, getattr(model, "base_model", model).forward):
        for name in ("cache", "past_key_values"):
            if name in inspect.signature(forward).parameters:
                return name
    return "past_key_values"


def positions(model: Any) -> int | None:
    """How many positions a model reads, all in one way; None: no limit.

    With "longrope", frequencies are others beyond the original length, for all that is read: what a cache holds would
    be wrong there.
    """
    config = model.config.get_text_config()
    rope = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    if "longrope" in (rope.get("rope_type"), rope.get("type")):
        original = rope.get("original_max_position_embeddings")
        return int(original or getattr(config, "original_max_position_embeddings", config.max_position_embeddings))
    limit: int | None = getattr(config, "max_position_embeddings", None)
    return limit


def rearranged(old: Sequence[int], wanted: Sequence[int]) -> tuple[list[int], list[int]]:
    """(keys row by row, the row that each of the first ones comes from). New keys stand at the end.

    The last rows take the places of the dropped ones, so that few have to be copied, and none onto one still needed.
    """
    stay, present = set(wanted), set(old)
    rows = [row for row, key in enumerate(old) if key in stay]
    late = [row for row in rows if row >= len(rows)]
    sources = [row if old[row] in stay else late.pop() for row in range(len(rows))]
    return [*(old[row] for row in sources), *(key for key in wanted if key not in present)], sources


def _shared(old: list[int], new: Sequence[int]) -> int:
    """How many first tokens two sequences share; quick where one continues the other."""
    if old == new[: len(old)]:
        return len(old)
    count = 0
    for old_token, new_token in zip(old, new, strict=False):
        if old_token != new_token:
            break
        count += 1
    return count


def _groups(lengths: Sequence[int], most: int) -> list[list[int]]:
    """All rows in order, in groups of at most `most` tokens (a longer row is a group by itself)."""
    groups: list[list[int]] = [[]]
    total = 0
    for row, length in enumerate(lengths):
        if groups[-1] and total + length > most:
            groups.append([])
            total = 0
        groups[-1].append(row)
        total += length
    return groups
