"""Where things stand, as ranks for a search."""

from __future__ import annotations

from oreo.envs.alfworld.placement import PLACES, search_order


def test_every_kind_of_receptacle_with_a_figure_has_a_rank() -> None:
    for thing, places in PLACES.items():
        assert sorted(search_order(thing.lower()).values()) == list(range(len(places)))
    assert search_order("dragon") == {}
