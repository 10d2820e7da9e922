"""What a model has read of many episodes at once: one key-value cache, a row an episode, each row its own length.

Token i of a row stands in slot i. So a row is cut back by lowering its length, and a finished one gives its place to
another. The new tokens of all rows are packed into one sequence without padding; in the attention layers each row's
tokens look at their own row (packed_attention.py), everywhere else a model does not mix tokens.

    cache.keep(keys)                      the episodes still wanted, old ones in place, new ones empty
    cache.fork({key: old})                a copy of an episode, to go on with differently
    logits = cache.read(histories)        catch up with each episode's tokens; outputs at its last one
    logits = cache.grow(tokens, level)    K continuations of every row, one token further, side by side
    values = cache.weigh(candidates)      whole candidates of every row, side by side, in one pass
    cache.score(logits, candidates)       how likely each of them is
    cache.settle(branch, kept)            one of them becomes part of the row, the others are forgotten

The continuations of a row share its slots: they are queries that see the row and their own tokens, so K of them cost
no copy of what the row holds. Letters: n rows, K branches, N tokens of a pass, S slots, V outputs (logits, or values).

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
from oreo.agents.tries import Trie, plant

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
        self._paths: list[list[list[int]]] | None = None
        """Where the tokens of each candidate stand behind its row; None after `grow`."""
        self.limit: int | None = getattr(model.config.get_text_config(), "max_position_embeddings", None)
        """Positions the model knows."""
        self._device = next(model.parameters()).device
        self._chooses = "logits_to_keep" in inspect.signature(model.forward).parameters
        self._configs = list({id(m.config): m.config for m in model.modules() if hasattr(m, "config")}.values())

    def keep(self, keys: Sequence[int]) -> None:
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
        return torch.cat(outputs)

    def grow(self, tokens: np.ndarray, level: int, alive: np.ndarray) -> Tensor:
        """Outputs [count of alive, V] after token number `level` of K continuations of every row, row by row.

        Args:
            tokens: [n, K]; levels are given in order from 0.
            alive: [n, K] bool: which continuations go on. One that has ended does not come back.
        """
        self._paths = None
        branches = tokens.shape[1]
        lengths = np.array([len(ids) for ids in self._ids])
        longest = int(lengths.max())
        # Behind the row, the slots hold the branches' tokens level by level.
        own = np.tile(np.eye(branches, dtype=bool), level + 1)
        seen = self._additive(np.concatenate([np.ones((branches, longest), bool), own], axis=1))
        parts, slots, positions = [], [], []
        first = 0
        for row in np.flatnonzero(alive.any(1)).tolist():
            length, branch = int(lengths[row]), np.flatnonzero(alive[row])
            mask = seen[:, longest - length :]
            position = np.full(len(branch), length + level)
            slot_position = np.concatenate([np.arange(length), length + np.repeat(np.arange(level + 1), branches)])
            mask = mask if len(branch) == branches else mask[torch.from_numpy(branch).to(mask.device)]
            parts.append(Part(row, first, first + len(branch), mask, position, slot_position, branches == 1))
            positions.append(position)
            slots.append(length + level * branches + branch)
            first += len(branch)
        return self._run(parts, tokens[alive], np.concatenate(positions), np.concatenate(slots))

    def weigh(self, candidates: Sequence[Sequence[Sequence[int]]]) -> list[list[Tensor]]:
        """Outputs [V] at the last token of each candidate of each row, in one pass; shared beginnings are read once.

        Args:
            candidates: for each row any number of continuations, none of them empty.
        """
        tries = [plant(each) for each in candidates]
        self._paths = [trie.paths for trie in tries]
        parts, arrays = self._branches(range(len(tries)), tries)
        if not parts:
            return [[] for _ in candidates]
        first = dict(zip([part.row for part in parts], [part.first for part in parts], strict=True))
        ends = [[first[row] + path[-1] for path in trie.paths] for row, trie in enumerate(tries)]
        wanted, place = np.unique([end for each in ends for end in each], return_inverse=True)
        output = self._run(parts, *arrays, wanted.tolist())
        at = iter(place.tolist())
        return [[output[next(at)] for _ in each] for each in ends]

    def score(self, logits: Tensor, candidates: Sequence[Sequence[Sequence[int]]]) -> list[np.ndarray]:
        """Log-probability of each candidate of each row, summed over its tokens; shared beginnings are read once.

        Args:
            logits: [n, V] after each row, as `read` gave them.
            candidates: for each row any number of continuations, none of them empty. The last token of a candidate is
                not read, only its probability is.

        Returns: for each row an array [its candidates] of float64.
        """
        tries = [plant([ids[:-1] for ids in each]) for each in candidates]
        self._paths = [trie.paths for trie in tries]
        begun = logits.float().log_softmax(-1)
        scores = []
        at_once = max(1, _NUMBERS_AT_ONCE // logits.shape[-1])
        for rows in _groups([len(trie.tokens) for trie in tries], at_once):
            parts, arrays = self._branches(rows, [tries[row] for row in rows])
            first = {part.row: part.first for part in parts}
            output = self._run(parts, *arrays).float() if parts else logits[:0].float()
            norm = output.logsumexp(-1)
            for row in rows:
                each = candidates[row]
                if not each:
                    scores.append(np.zeros(0))
                    continue
                total = begun[row][torch.tensor([ids[0] for ids in each], device=begun.device)].double().cpu().numpy()
                steps = [
                    (index, first[row] + node, token)
                    for index, (ids, path) in enumerate(zip(each, tries[row].paths, strict=True))
                    for node, token in zip(path, ids[1:], strict=True)
                ]
                if steps:
                    index, node, token = np.array(steps).T.copy()
                    nodes, tokens = (torch.from_numpy(part).to(output.device) for part in (node, token))
                    np.add.at(total, index, (output[nodes, tokens] - norm[nodes]).double().cpu().numpy())
                scores.append(total)
        return scores

    def _branches(
        self, rows: Sequence[int], tries: Sequence[Trie]
    ) -> tuple[list[Part], tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """The parts of a pass over a tree behind each of some rows; tokens, positions and slots of it."""
        parts: list[Part] = []
        tokens: list[int] = []
        positions, slots = [], []
        for row, trie in zip(rows, tries, strict=True):
            count = len(trie.tokens)
            if not count:
                continue
            length, first = len(self._ids[row]), len(tokens)
            position = length + trie.depth
            mask = self._additive(np.concatenate([np.ones((count, length), bool), trie.sees], axis=1))
            tokens += trie.tokens
            parts.append(Part(row, first, len(tokens), mask, position, np.concatenate([np.arange(length), position])))
            positions.append(position)
            slots.append(length + np.arange(count))
        if not parts:
            return [], (np.zeros(0, np.int64),) * 3
        return parts, (np.array(tokens), np.concatenate(positions), np.concatenate(slots))

    def settle(self, branch: Sequence[int], kept: Sequence[Sequence[int]], branches: int = 1) -> None:
        """Make one continuation of each row part of it.

        Args:
            branch: [n] which one: of the K that `grow` was given, or of the candidates of `weigh` or `score`.
            kept: its tokens that have been read and are to stay, from the first on.
            branches: K, after `grow`.
        """
        moves = []
        for row, (chosen, ids) in enumerate(zip(branch, kept, strict=True)):
            length = len(self._ids[row])
            for step in range(len(ids)):
                at = step * branches + chosen if self._paths is None else self._paths[row][chosen][step]
                if at != step:
                    moves.append((row, length + at, length + step))
            self._ids[row].extend(ids)
        if moves:
            self._storage.move(*np.array(moves).T.copy())

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
        options = {"logits_to_keep": chosen} if self._chooses and chosen is not None else {}
        with packed(self._configs, parts):
            output = self.model(
                input_ids=torch.from_numpy(tokens)[None].to(self._device),
                # Of four dimensions, so that models leave it alone; the attention has its own.
                attention_mask=torch.zeros(1, 1, 1, 1, device=self._device),
                position_ids=torch.from_numpy(position)[None].to(self._device),
                past_key_values=self._storage,
                use_cache=True,
                **options,
            )
        logits: Tensor = output.logits[0]
        return logits if options or chosen is None else logits[chosen]

    def _ramp(self, tokens: int, before: int) -> Tensor:
        """[tokens, before + tokens]: token i sees all `before` and the first i + 1 of its own. Rows slice theirs."""
        return self._additive(np.tri(tokens, before + tokens, before, dtype=bool))

    def _additive(self, seen: np.ndarray) -> Tensor:
        mask = torch.zeros(seen.shape, dtype=self.model.dtype, device=self._device)
        return mask.masked_fill_(torch.from_numpy(~seen).to(self._device), -torch.inf)


def rearranged(old: Sequence[int], wanted: Sequence[int]) -> tuple[list[int], list[int]]:
    """(keys row by row, the row that each of the first ones comes from). New keys stand at the end.

    The last rows take the places of the dropped ones, so that few have to be copied, and none onto one still needed.
    """
    stay, known = set(wanted), set(old)
    rows = [row for row, key in enumerate(old) if key in stay]
    late = [row for row in rows if row >= len(rows)]
    sources = [row if old[row] in stay else late.pop() for row in range(len(rows))]
    return [*(old[row] for row in sources), *(key for key in wanted if key not in known)], sources


def _shared(old: list[int], new: Sequence[int]) -> int:
    """How many first tokens two sequences share; quick where one continues the other."""
    if old == new[: len(old)]:
        return len(old)
    count = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            break
        count += 1
    return count


def _groups(lengths: Sequence[int], most: int) -> list[list[int]]:
    """All rows in order, in groups of at most so many tokens (a longer row is a group by itself)."""
    groups: list[list[int]] = [[]]
    total = 0
    for row, length in enumerate(lengths):
        if groups[-1] and total + length > most:
            groups.append([])
            total = 0
        groups[-1].append(row)
        total += length
    return groups
