"""The simulator on small odd games: laws that hold for all of them, and equality with the original engine."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.errors import UsageError

from .kitchens import everything, game, play


def test_a_whole_game_is_played_and_won(kitchen: Simulator) -> None:
    feedback = play(
        kitchen,
        "go to countertop 1",
        "look",
        "take apple 2 from countertop 1",
        "go to sinkbasin 1",
        "clean apple 2 with sinkbasin 1",
        "go to cabinet 1",
        "open cabinet 1",
    )
    assert feedback == [
        "You arrive at loc 3. On the countertop 1, you see a apple 2, a desklamp 1, and a knife 1.",
        "You are facing the cabinet 2, a cabinet 1, and a countertop 1. Next to it, you see nothing.".replace(
            " a ", " "
        ),
        "You pick up the apple 2 from the countertop 1.",
        "You arrive at loc 2. On the sinkbasin 1, you see nothing.",
        "You clean the apple 2 using the sinkbasin 1.",
        "You arrive at loc 3. The cabinet 1 is closed.",
        "You open the cabinet 1. The cabinet 1 is open. In it, you see a apple 1.",
    ]
    assert not kitchen.won
    assert kitchen.step("put apple 2 in/on cabinet 1") == "You put the apple 2 in/on the cabinet 1."
    assert kitchen.won


def test_the_state_is_readable(kitchen: Simulator) -> None:
    play(kitchen, "go to countertop 1", "take knife 1 from countertop 1", "open cabinet 2")
    state = kitchen.state()
    assert state["location"] == "loc 3" and state["holding"] == "knife 1"
    assert state["facing"] == ["cabinet 2", "cabinet 1", "countertop 1"]
    assert state["receptacles"]["cabinet 2"] == {"location": "loc 3", "open": True, "contents": []}
    assert state["receptacles"]["countertop 1"]["open"] is None


@settings(deadline=None, max_examples=100)
@given(st.text(), st.integers(0, 2**32))
def test_no_text_breaks_it_and_a_refused_one_changes_nothing(text: str, seed: int) -> None:
    simulator, rng = Simulator(), random.Random(seed)
    simulator.reset(game())
    for _ in range(rng.randrange(6)):
        simulator.step(rng.choice(simulator.admissible_commands()))
    before, commands = everything(simulator), simulator.admissible_commands()
    feedback = simulator.step(text)
    assert simulator.valid == (text.strip() in commands)
    if not simulator.valid:
        assert feedback == "Nothing happens." and everything(simulator) == before


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.integers(0, 12), st.integers(1, 12))
def test_a_restored_snapshot_continues_the_same(seed: int, before: int, after: int) -> None:
    simulator, rng = Simulator(), random.Random(seed)
    simulator.reset(game())
    for _ in range(before):
        simulator.step(rng.choice(simulator.admissible_commands()))
    snapshot, expected = simulator.snapshot(), everything(simulator)
    walk = []
    for _ in range(after):
        command = rng.choice(simulator.admissible_commands())
        walk.append((command, simulator.step(command), everything(simulator)))
    other = Simulator()
    for one in (simulator, other):
        one.restore(snapshot)
        assert everything(one) == expected
        for command, feedback, state in walk:
            assert one.step(command) == feedback and everything(one) == state


def test_two_simulators_do_not_disturb_each_other() -> None:
    one, other = Simulator(), Simulator()
    first = one.reset(game())
    one.step("go to countertop 1")
    assert other.reset(game()) == first
    assert "examine countertop 1" in one.admissible_commands()
    assert "examine countertop 1" not in other.admissible_commands()


def test_without_a_game_it_says_what_to_do() -> None:
    with pytest.raises(UsageError, match="reset"):
        Simulator().step("look")
