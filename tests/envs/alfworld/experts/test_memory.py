"""What a player knows from the texts alone."""

from __future__ import annotations

from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.experts.memory import Memory, kind_of
from oreo.envs.alfworld.generation.generator import generate_game

ROOM = "You are in the middle of a room. Looking quickly around you, you see a cabinet 1, a fridge 1, and a shelf 1."


def remembering(*exchanges: tuple[str, str]) -> Memory:
    memory = Memory(ROOM)
    for action, feedback in exchanges:
        memory.observe(action, feedback)
    return memory


SHELF = ("go to shelf 1", "You arrive at loc 1. On the shelf 1, you see a cup 1, and a mug 2.")
TAKEN = ("take mug 2 from shelf 1", "You pick up the mug 2 from the shelf 1.")


def test_furniture_comes_in_the_order_of_the_first_observation() -> None:
    assert Memory(ROOM).receptacles == ["cabinet 1", "fridge 1", "shelf 1"]
    assert Memory("").receptacles == [] and kind_of("mug 2") == "mug"


def test_an_object_is_where_it_was_seen_last_and_nowhere_while_it_is_in_the_hand() -> None:
    memory = remembering(SHELF)
    assert memory.seen("mug") == [("mug 2", "shelf 1")] and memory.seen("pen") == []
    memory = remembering(SHELF, TAKEN)
    assert (memory.holding, memory.origin["mug 2"], memory.seen("mug")) == ("mug 2", "shelf 1", [])
    assert memory.seen("cup") == [("cup 1", "shelf 1")]
    for words in ("You put the mug 2 in/on the fridge 1.", "You move the mug 2 to the fridge 1."):
        memory = remembering(SHELF, TAKEN, ("put it", words))
        assert (memory.holding, memory.seen("mug")) == (None, [("mug 2", "fridge 1")])


def test_a_door_is_open_or_closed_once_it_was_seen() -> None:
    memory = remembering(("go to fridge 1", "You arrive at loc 2. The fridge 1 is closed."))
    assert memory.closed == {"fridge 1": True} and "fridge 1" not in memory.contents
    memory.observe("open fridge 1", "You open the fridge 1. The fridge 1 is open. In it, you see nothing.")
    assert memory.closed == {"fridge 1": False} and memory.contents["fridge 1"] == []
    memory.observe("close fridge 1", "You close the fridge 1.")
    assert memory.closed == {"fridge 1": True}
    memory.forget("fridge 1")
    assert memory.closed == {} and memory.contents == {}


def test_heating_and_cooling_undo_each_other_and_cleaning_stays() -> None:
    memory = Memory(ROOM)
    for change, states in (("clean", {"clean"}), ("heat", {"clean", "heat"}), ("cool", {"clean", "cool"})):
        memory.observe(f"{change} mug 2", f"You {change} the mug 2 using the fridge 1.")
        assert memory.states["mug 2"] == states


def test_what_stands_at_one_spot_is_at_hand_together_and_again_later() -> None:
    memory = remembering(SHELF, ("go to cabinet 1", "Nothing happens."))
    assert memory.at_hand == {"shelf 1", "cabinet 1"}
    memory.observe("go to fridge 1", "You arrive at loc 2. The fridge 1 is closed.")
    assert memory.at_hand == {"fridge 1"}
    memory.observe("go to cabinet 1", "You arrive at loc 1. The cabinet 1 is closed.")
    assert memory.at_hand == {"shelf 1", "cabinet 1"}


def test_what_is_remembered_of_a_game_is_true_in_it() -> None:
    for index in range(6):
        simulator = Simulator()
        memory = Memory(simulator.reset(generate_game(index)))
        for turn in range(40):
            commands = simulator.admissible_commands()
            command = commands[turn * 7 % len(commands)]
            memory.observe(command, simulator.step(command))
            state = simulator.state()
            assert memory.holding == state["holding"]
            for place, things in memory.contents.items():
                assert set(things) == set(state["receptacles"][place]["contents"])
            for place, is_closed in memory.closed.items():
                assert is_closed != state["receptacles"][place]["open"]
