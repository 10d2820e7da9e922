"""Reproducible choices."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from oreo.envs.draws import Draws


def test_the_stream_is_the_same_for_ever() -> None:
    draws = Draws(7, 0, 3)
    first = [draws.between(0, 999) for _ in range(8)], draws.choice("abcdef"), draws.weighted({"a": 1, "b": 5})
    assert first == ([140, 446, 163, 219, 391, 67, 99, 648], "f", "b")


def test_streams_of_different_names_differ() -> None:
    names = [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)]
    assert len({Draws(*name).uniform() for name in names}) == len(names)


@given(st.integers(0, 2**40), st.lists(st.integers()))
def test_shuffling_keeps_every_item(seed: int, items: list[int]) -> None:
    assert Counter(Draws(seed).shuffled(items)) == Counter(items)


@given(st.integers(0, 2**40), st.integers(-5, 5), st.integers(0, 5))
def test_between_includes_both_ends_and_nothing_beyond(seed: int, low: int, span: int) -> None:
    draws = Draws(seed)
    assert {draws.between(low, low + span) for _ in range(300)} == set(range(low, low + span + 1))


def test_weights_are_shares() -> None:
    draws = Draws(0)
    counts = Counter(draws.weighted({"rare": 1, "never": 0, "often": 3}) for _ in range(4000))
    assert counts["never"] == 0
    assert 0.70 < counts["often"] / 4000 < 0.80
