"""Several continuations of one sequence as a tree, so that what they share is computed once.

Twenty commands that begin with "go to" need those tokens once, and a command that is named twice needs nothing more.
A tree is planted whole (`plant`) where the continuations are known, and grows token by token where they are sampled.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

ROOT = -1
"""Where a tree begins: the end of what all its continuations continue. No node: it holds no token."""


@dataclass
class Trie:
    """Nodes are tokens, numbered as they come: a parent before its children."""

    tokens: list[int] = field(default_factory=list)
    ways: list[list[int]] = field(default_factory=list)
    """For each node what it sees: the nodes from a first token to itself."""
    paths: list[list[int]] = field(default_factory=list)
    """For each continuation that was planted its nodes, from the first token on."""
    _children: dict[tuple[int, int], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tokens)

    def grow(self, parent: int, token: int) -> int:
        """The node of a token after `parent`, a new one where the tree has none."""
        node = self._children.setdefault((parent, token), len(self.tokens))
        if node == len(self.tokens):
            self.tokens.append(token)
            self.ways.append([node] if parent == ROOT else [*self.ways[parent], node])
        return node

    @property
    def straight(self) -> bool:
        """Each node sees all before it: nothing has branched off."""
        return not self.ways or len(self.ways[-1]) == len(self)

    def follow(self, ids: Sequence[int]) -> list[int]:
        """The nodes of the first tokens of a continuation, which are in the tree."""
        path: list[int] = []
        for token in ids:
            path.append(self._children[path[-1] if path else ROOT, token])
        return path

    @property
    def depth(self) -> np.ndarray:
        """[nodes] 0 for a first token."""
        return np.array([len(way) - 1 for way in self.ways], dtype=np.int64)

    @property
    def sees(self) -> np.ndarray:
        """[nodes, nodes] True where a node sees another: its ancestors and itself."""
        sees = np.zeros((len(self), len(self)), dtype=bool)
        for node, way in enumerate(self.ways):
            sees[node, way] = True
        return sees


def plant(continuations: Sequence[Sequence[int]]) -> Trie:
    """The tree of some sequences of tokens; empty ones have an empty path."""
    trie = Trie()
    for ids in continuations:
        path: list[int] = []
        for token in ids:
            path.append(trie.grow(path[-1] if path else ROOT, token))
        trie.paths.append(path)
    return trie
