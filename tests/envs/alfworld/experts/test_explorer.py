"""The explorer: what it understands, that it does not peek, and that nothing throws it off."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.experts.explorer import Explorer, Task, read_task
from oreo.envs.alfworld.experts.memory import Memory
from oreo.envs.alfworld.game import TASK_TYPES, Game
from oreo.envs.alfworld.generation.generator import generate_game
from oreo.errors import UsageError

ROOM = (
    "-= Welcome to TextWorld, ALFRED! =-\n\nYou are in the middle of a room. Looking quickly around you, you see "
    "a cabinet 2, a cabinet 1, a countertop 1, a microwave 1, and a shelf 1.\n\n"
    "Your task is to: put a hot mug in shelf."
)


def play(game: Game, limit: int = 50, noise: float = 0.0, told: bool = True) -> list[str] | None:
    """The actions of a won episode, None for a lost one."""
    rng, simulator = random.Random(game.name), Simulator()
    observation = simulator.reset(game)
    explorer = Explorer(observation, *((game.task_type, game.params) if told else ()), dialect=game.dialect)
    actions: list[str] = []
    while len(actions) < limit:
        action = explorer.act()
        if rng.random() < noise:
            refused = ["go to moon 1", "open shelf 1", "take mug 1 from cabinet 1", "", "use desklamp 1", "look at it"]
            action = rng.choice(simulator.admissible_commands() if rng.random() < 0.5 else refused)
        explorer.observe(action, simulator.step(action))
        actions.append(action)
        if simulator.won:
            return actions
    return None


def tell(explorer: Explorer, *exchanges: tuple[str, str]) -> None:
    """The explorer's next actions are these, and this comes of them."""
    for action, feedback in exchanges:
        assert explorer.act() == action
        explorer.observe(action, feedback)


@pytest.mark.parametrize(
    ("sentence", "task"),
    [
        ("look at alarmclock under the desklamp.", Task("look_at_obj_in_light", "alarmclock", "desklamp")),
        ("examine the cd with the desklamp.", Task("look_at_obj_in_light", "cd", "desklamp")),
        ("put a egg in fridge.", Task("pick_and_place_simple", "egg", "fridge")),
        ("put some egg on fridge.", Task("pick_and_place_simple", "egg", "fridge")),
        ("put a clean mug in shelf.", Task("pick_clean_then_place_in_recep", "mug", "shelf")),
        ("clean some mug and put it in shelf.", Task("pick_clean_then_place_in_recep", "mug", "shelf")),
        ("put a hot mug in shelf.", Task("pick_heat_then_place_in_recep", "mug", "shelf")),
        ("heat some mug and put it in shelf.", Task("pick_heat_then_place_in_recep", "mug", "shelf")),
        ("put a cool mug in shelf.", Task("pick_cool_then_place_in_recep", "mug", "shelf")),
        ("cool some mug and put it in shelf.", Task("pick_cool_then_place_in_recep", "mug", "shelf")),
        ("put two pen in drawer.", Task("pick_two_obj_and_place", "pen", "drawer")),
        ("find two pen and put them in drawer.", Task("pick_two_obj_and_place", "pen", "drawer")),
    ],
)
def test_every_sentence_of_alfworld_is_understood(sentence: str, task: Task) -> None:
    assert read_task(f"… Your task is to: {sentence}") == task


def test_any_other_task_is_refused_in_one_line() -> None:
    with pytest.raises(UsageError, match="cannot read the task 'make me happy'"):
        read_task("Your task is to: make me happy")


def test_it_searches_likely_kinds_first_numbers_ascending_and_opens_what_is_closed() -> None:
    tell(
        Explorer(ROOM),
        ("go to countertop 1", "You arrive at loc 1. On the countertop 1, you see a plate 1."),
        ("go to microwave 1", "You arrive at loc 2. The microwave 1 is closed."),
        ("open microwave 1", "You open the microwave 1. The microwave 1 is open. In it, you see nothing."),
        ("go to shelf 1", "You arrive at loc 5. On the shelf 1, you see nothing."),
        ("go to cabinet 1", "You arrive at loc 3. The cabinet 1 is closed."),
        ("open cabinet 1", "You open the cabinet 1. The cabinet 1 is open. In it, you see a mug 2, and a cup 1."),
        ("take mug 2 from cabinet 1", "You pick up the mug 2 from the cabinet 1."),
        ("go to microwave 1", "You arrive at loc 2. The microwave 1 is open. In it, you see nothing."),
        ("heat mug 2 with microwave 1", "You heat the mug 2 using the microwave 1."),
        ("go to shelf 1", "You arrive at loc 5. On the shelf 1, you see nothing."),
        ("put mug 2 in/on shelf 1", "You put the mug 2 in/on the shelf 1."),
    )


def test_it_remembers_what_it_saw_while_it_searched_for_something_else() -> None:
    explorer = Explorer(ROOM.replace("put a hot mug in shelf", "examine the mug with the desklamp"))
    tell(
        explorer,
        ("go to countertop 1", "You arrive at loc 1. On the countertop 1, you see a desklamp 1."),
        ("go to microwave 1", "You arrive at loc 2. The microwave 1 is open. In it, you see a mug 1."),
        ("take mug 1 from microwave 1", "You pick up the mug 1 from the microwave 1."),
        ("go to countertop 1", "You arrive at loc 1. On the countertop 1, you see a desklamp 1."),
        ("use desklamp 1", "You turn on the desklamp 1."),
    )


def test_two_objects_end_up_in_the_same_receptacle() -> None:
    explorer = Explorer(ROOM.replace("put a hot mug in shelf", "put two mug in cabinet"))
    tell(explorer, ("go to countertop 1", "You arrive at loc 1. On the countertop 1, you see a mug 1."))
    explorer.observe("go to cabinet 2", "You arrive at loc 4. The cabinet 2 is open. In it, you see a mug 2.")
    tell(
        explorer,
        ("go to countertop 1", "You arrive at loc 1. On the countertop 1, you see a mug 1."),
        ("take mug 1 from countertop 1", "You pick up the mug 1 from the countertop 1."),
        ("go to cabinet 2", "You arrive at loc 4. The cabinet 2 is open. In it, you see a mug 2."),
        ("put mug 1 in/on cabinet 2", "You put the mug 1 in/on the cabinet 2."),
    )


def test_it_puts_away_what_someone_else_took_and_undoes_what_someone_else_did() -> None:
    explorer = Explorer(ROOM)
    tell(explorer, ("go to countertop 1", "You arrive at loc 1. On the countertop 1, you see a mug 1, and a plate 1."))
    explorer.observe("take plate 1 from countertop 1", "You pick up the plate 1 from the countertop 1.")
    tell(
        explorer,
        ("put plate 1 in/on countertop 1", "You put the plate 1 in/on the countertop 1."),
        ("take mug 1 from countertop 1", "You pick up the mug 1 from the countertop 1."),
        ("go to microwave 1", "You arrive at loc 2. The microwave 1 is closed."),
        ("heat mug 1 with microwave 1", "You heat the mug 1 using the microwave 1."),
    )
    explorer.observe("cool mug 1 with fridge 1", "You cool the mug 1 using the fridge 1.")
    explorer.memory.at_hand.clear()
    assert explorer.act() == "go to microwave 1"


def test_receptacles_at_one_spot_are_within_reach_together() -> None:
    """In real games several stand at one location, and going from one to the other is refused."""
    explorer = Explorer(ROOM)
    tell(
        explorer,
        ("go to countertop 1", "You arrive at loc 1. On the countertop 1, you see nothing."),
        ("go to microwave 1", "Nothing happens."),
        ("examine microwave 1", "The microwave 1 is closed."),
        ("open microwave 1", "You open the microwave 1. The microwave 1 is open. In it, you see nothing."),
        ("go to shelf 1", "Nothing happens."),
        ("examine shelf 1", "On the shelf 1, you see a mug 1."),
        ("take mug 1 from shelf 1", "You pick up the mug 1 from the shelf 1."),
        ("heat mug 1 with microwave 1", "You heat the mug 1 using the microwave 1."),
    )


def test_an_action_that_was_refused_is_not_repeated_and_in_the_end_it_gives_up() -> None:
    explorer, asked = Explorer(ROOM), []
    for _ in range(100):
        asked.append(explorer.act())
        explorer.observe(asked[-1], "Nothing happens.")
    assert asked[-1] == "look"
    assert max(asked.count(action) for action in set(asked) - {"look"}) <= 4


@settings(deadline=None)
@given(st.lists(st.tuples(st.text(), st.text()), max_size=8))
def test_no_text_breaks_it(exchanges: list[tuple[str, str]]) -> None:
    explorer = Explorer(ROOM)
    for action, feedback in exchanges:
        assert explorer.act()
        explorer.observe(action, feedback)
    assert Memory("".join(text for exchange in exchanges for text in exchange)).receptacles is not None


@pytest.mark.parametrize("task_type", TASK_TYPES)
@pytest.mark.parametrize("dialect", ["put", "move"])
def test_it_wins_generated_games_and_needs_no_more_than_the_text(task_type: str, dialect: str) -> None:
    for index in range(10):
        game = generate_game(index, seed=1, heldout=bool(index % 2), dialect=dialect, task_types=[task_type])
        actions = play(game, limit=30)
        assert actions is not None, game.name
        assert actions == play(game, limit=30, told=False)  # neither params nor chance take part


def test_it_wins_despite_a_fifth_of_its_actions_being_someone_elses() -> None:
    lost = [game.name for game in map(generate_game, range(150)) if play(game, noise=0.2) is None]
    assert lost == []


def test_it_wins_in_houses_as_large_as_their_floor_plan() -> None:
    for index in range(12):
        assert play(generate_game(index, max_receptacles=None, max_objects=None), limit=100)
