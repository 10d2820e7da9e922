"""What actions change, and what they leave alone."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld.engines.simulator import Simulator

from .kitchens import game, play


def test_heating_undoes_cooling(kitchen: Simulator) -> None:
    play(kitchen, "go to countertop 1", "take apple 2 from countertop 1", "go to fridge 1")
    play(kitchen, "cool apple 2 with fridge 1")
    assert kitchen.step("examine apple 2") == "This is a cold apple 2."
    kitchen.step("heat apple 2 with microwave 1")
    assert kitchen.step("examine apple 2") == "This is a hot apple 2."
    facts = kitchen.facts()
    assert {"not_iscool apple 2", "ishot apple 2"} <= set(facts) and "iscool apple 2" not in facts
    assert kitchen.state()["objects"]["apple 2"] | {"hot": True, "cool": False} == kitchen.state()["objects"]["apple 2"]
    play(kitchen, "cool apple 2 with fridge 1")
    assert "iscool apple 2" in kitchen.facts() and "ishot apple 2" not in kitchen.facts()


def test_a_lamp_says_it_is_turned_on_every_time(kitchen: Simulator) -> None:
    kitchen.step("go to countertop 1")
    assert play(kitchen, "use desklamp 1", "use desklamp 1") == ["You turn on the desklamp 1."] * 2
    assert kitchen.state()["objects"]["desklamp 1"]["on"] is False


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_an_object_is_in_the_hand_or_in_one_receptacle_and_the_state_before_stays(seed: int) -> None:
    simulator, rng = Simulator(), random.Random(seed)
    simulator.reset(game())
    for _ in range(12):
        loaded, before, _ = simulator.snapshot()
        facts = loaded.world.fact_texts(before)
        simulator.step(rng.choice(simulator.admissible_commands()))
        assert loaded.world.fact_texts(before) == facts
        _, state, _ = simulator.snapshot()
        inside = [thing for things in state.inside.values() for thing in things]
        held = [state.held] if state.held else []
        assert sorted(inside + held) == ["apple_bar_1", "apple_bar_2", "desklamp_bar_1", "knife_bar_1"]
        assert not state.hot & state.cool
