"""oreo.agents.trie: continuations as a tree."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from oreo.agents.trie import ROOT, Trie, plant


@given(st.lists(st.lists(st.integers(0, 3), max_size=5), max_size=8))
def test_a_tree_holds_each_beginning_once_and_sees_along_its_paths(continuations: list[list[int]]) -> None:
    trie = plant(continuations)
    beginnings = {tuple(ids[:end]) for ids in continuations for end in range(1, len(ids) + 1)}
    assert len(trie.tokens) == len(beginnings)
    for ids, path in zip(continuations, trie.paths, strict=True):
        assert [trie.tokens[node] for node in path] == ids
        assert [int(trie.depth[node]) for node in path] == list(range(len(ids)))
        for end, node in enumerate(path):
            assert np.flatnonzero(trie.sees[node]).tolist() == sorted(path[: end + 1])


@given(st.lists(st.lists(st.integers(0, 3), max_size=5), max_size=8))
def test_a_tree_that_has_grown_is_followed_as_one_that_was_planted(continuations: list[list[int]]) -> None:
    grown = Trie()
    for level in range(5):  # token by token, all continuations side by side
        for ids in continuations:
            if len(ids) > level:
                before = grown.follow(ids[:level])
                grown.grow(before[-1] if before else ROOT, ids[level])
    assert sorted(grown.tokens) == sorted(plant(continuations).tokens)
    for ids in continuations:
        path = grown.follow(ids)
        assert [grown.tokens[node] for node in path] == ids
        assert not path or grown.ways[path[-1]] == path
    assert grown.straight == (len(grown) == max(map(len, continuations), default=0))
