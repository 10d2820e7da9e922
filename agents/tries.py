"""Several continuations of one sequence as a tree, so that what they share is computed once.

Twenty commands that begin with "go to" need those tokens once, and a command that is named twice needs nothing more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Trie:
    """Nodes are tokens, a parent before its children."""

    tokens: list[int]
    depth: np.ndarray
    """[nodes] 0 for a first token."""
    sees: np.ndarray
    """[nodes, nodes] True where a node sees another: its ancestors and itself."""
    paths: list[list[int]]
    """For each continuation its nodes, from the first token on."""


def plant(continuations: Sequence[Sequence[int]]) -> Trie:
    """The tree of some sequences of tokens; empty ones have an empty path."""
    tokens: list[int] = []
    parents: list[int] = []
    children: dict[tuple[int, int], int] = {}
    paths = []
    for ids in continuations:
        path: list[int] = []
        node = -1
        for token in ids:
            key = (node, token)
            if key not in children:
                children[key] = len(tokens)
                tokens.append(token)
                parents.append(node)
            node = children[key]
            path.append(node)
        paths.append(path)
    sees = np.eye(len(tokens), dtype=bool)
    depth = np.zeros(len(tokens), dtype=np.int64)
    for node, parent in enumerate(parents):
        if parent >= 0:
            sees[node] |= sees[parent]
            depth[node] = depth[parent] + 1
    return Trie(tokens, depth, sees, paths)
