"""Which commands a game accepts where."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld.engines.simulator import Simulator

from .kitchens import game, play


def test_going_to_where_the_agent_stands_is_refused(kitchen: Simulator) -> None:
    kitchen.step("go to cabinet 1")
    assert play(kitchen, "go to cabinet 1", "go to countertop 1") == ["Nothing happens."] * 2
    assert not kitchen.valid


def test_slicing_needs_a_knife_in_hand(kitchen: Simulator) -> None:
    kitchen.step("go to countertop 1")
    assert kitchen.step("slice apple 2 with knife 1") == "Nothing happens."
    kitchen.step("take knife 1 from countertop 1")
    assert kitchen.step("slice apple 2 with knife 1") == "You sliced the apple 2 with the knife 1."


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32))
def test_what_can_be_done_is_to_act_here_or_to_go_elsewhere(seed: int) -> None:
    simulator, rng = Simulator(), random.Random(seed)
    simulator.reset(game())
    for _ in range(12):
        loaded, state, _ = simulator.snapshot()
        local, elsewhere = loaded.local(state), loaded.elsewhere(state.at)
        assert simulator.admissible_commands() == sorted([*local, *elsewhere])
        assert all(command.startswith("go to ") for command in elsewhere) and not set(local) & set(elsewhere)
        simulator.step(rng.choice([*local, *elsewhere]))
        assert simulator.valid
