"""How the original names things."""

from __future__ import annotations

from oreo.envs.alfworld.engines.entity_names import entity_names


def test_numbers_are_handed_out_from_the_highest_down() -> None:
    names = entity_names(
        ["cup_bar_2", "cup_bar_1", "sink_bar_1_bar_sinkbasin", "bathtub_bar_1_bar_bathtubbasin", "agent1"]
    )
    assert names == {
        "cup_bar_1": "cup 2",
        "cup_bar_2": "cup 1",
        "sink_bar_1_bar_sinkbasin": "sinkbasin 1",
        "bathtub_bar_1_bar_bathtubbasin": "bathtubbasin 1",
        "agent1": "agent1 ",
    }
