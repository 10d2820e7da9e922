"""The space of all texts, for observations and for actions, in one process and between several.

Gymnasium's AsyncVectorEnv asks a space for a block of shared memory once, lets each worker write its observations
there, and reads them from one and the same object ever after; for gymnasium's own `Text` that object is a tuple, which
never changes (gymnasium 1.4). Ours looks anew each time.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Sequence
from ctypes import c_char
from typing import Any

import gymnasium as gym
import numpy as np
from gymnasium.vector.utils import create_shared_memory, read_from_shared_memory, write_to_shared_memory

from oreo.errors import UsageError

CAPACITY = 1 << 16
"""Bytes of shared memory for one text, its length included."""
_LENGTH = 4


class TextSpace(gym.spaces.Space[str]):
    """Every Unicode string. (`gymnasium.spaces.Text` needs a declared alphabet and a length.)"""

    def __init__(self, seed: int | np.random.Generator | None = None) -> None:
        super().__init__(shape=None, dtype=None, seed=seed)

    @property
    def is_np_flattenable(self) -> bool:
        return False

    def sample(self, mask: Any = None, probability: Any = None) -> str:
        """A short random string, mostly letters, now and then anything Unicode has (never a surrogate)."""
        length = int(self.np_random.integers(1, 24))
        if self.np_random.random() < 0.9:
            return "".join(self.np_random.choice(list("abcdefghijklmnopqrstuvwxyz 0123456789"), size=length))
        return "".join(chr(point) for point in self.np_random.integers(0x20, 0xD800, size=length))

    def contains(self, x: Any) -> bool:
        return isinstance(x, str)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, TextSpace)

    def __hash__(self) -> int:
        return hash(TextSpace)

    def __repr__(self) -> str:
        return "TextSpace()"


class SharedTexts(Sequence[str]):
    """What each environment said last. `copy.deepcopy`, which gymnasium uses, makes a tuple of it."""

    def __init__(self, memory: Any, n: int) -> None:
        self._bytes = memoryview(memory.get_obj()).cast("B")
        self._n = n

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return tuple(self)[index]
        start = range(self._n)[index] * CAPACITY
        length = int.from_bytes(self._bytes[start : start + _LENGTH], "little")
        return bytes(self._bytes[start + _LENGTH : start + _LENGTH + length]).decode("utf-8", "surrogatepass")

    def __deepcopy__(self, memo: dict[int, Any]) -> tuple[str, ...]:
        return tuple(self)

    def __repr__(self) -> str:
        return f"SharedTexts({tuple(self)!r})"


@create_shared_memory.register(TextSpace)
def _create(space: TextSpace, n: int = 1, ctx: Any = multiprocessing) -> Any:
    return ctx.Array(c_char, n * CAPACITY)


@read_from_shared_memory.register(TextSpace)
def _read(space: TextSpace, shared_memory: Any, n: int = 1) -> SharedTexts:
    return SharedTexts(shared_memory, n)


@write_to_shared_memory.register(TextSpace)
def _write(space: TextSpace, index: int, value: str, shared_memory: Any) -> None:
    data = value.encode("utf-8", "surrogatepass")
    if len(data) > CAPACITY - _LENGTH:
        raise UsageError(
            f"an observation of {len(data)} bytes: AsyncVectorEnv's shared memory has room for {CAPACITY - _LENGTH}; "
            "make it with vector_kwargs={'shared_memory': False}"
        )
    start = index * CAPACITY
    memoryview(shared_memory.get_obj()).cast("B")[start : start + _LENGTH + len(data)] = (
        len(data).to_bytes(_LENGTH, "little") + data
    )
