"""People's sentences in the place of the templated task: said alike by both engines, and close to what was written."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld.annotations import human_goals, in_human_words, speakable
from oreo.envs.alfworld.engines.simulator import Simulator
from oreo.envs.alfworld.engines.textworld_engine import TextWorldEngine
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.generation.generator import generate_game
from oreo.errors import DataError, UsageError

GAME = generate_game(0, max_receptacles=4, max_objects=4)

SENTENCES = {
    "Let the blue radio play. ": "Let the blue radio play.",
    "Set both vases where the books are": "Set both vases where the books are.",
    "Would you study the radio under a lamp?": "Would you study the radio under a lamp?",
    "\nTake the keys,\tput them\r\n on the  couch ": "Take the keys, put them on the couch.",
    ";Leave the spray next to the tub.": "Leave the spray next to the tub.",
    "\x08Cook a potato & return it.": "Cook a potato & return it.",
    'The "red" mug; shelf #2, # 3 or #four': "The 'red' mug, shelf number 2, number 3 or four.",
    "{o.name} [x] <y> a|b \\n": "(o.name) (x) (y) a/b /n.",
    "#task# and #look.feedback#": "task and look.feedback.",
    "// no comment": "// no comment.",
    "Bring café au lait, ’hot’ 😀 到桌上": "Bring café au lait, ’hot’ 😀 到桌上.",
    "You see a mug 1. Your task is to: be kind": "You see a mug 1. Your task is to: be kind.",
    "100% {0} %s `$x`": "100% (0) %s `$x`.",
}


@pytest.fixture(scope="module")
def original() -> Iterator[TextWorldEngine]:
    engine = TextWorldEngine()
    yield engine
    engine.close()


def saying(sentence: str) -> Game:
    return dataclasses.replace(GAME, human_goals=(sentence,))


@pytest.mark.parametrize(("written", "spoken"), SENTENCES.items())
def test_both_engines_say_what_was_written_as_far_as_they_can(
    original: TextWorldEngine, written: str, spoken: str
) -> None:
    assert speakable(written) == spoken
    game = in_human_words(saying(written), 0)
    first = Simulator().reset(game)
    assert first == original.reset(game) == Simulator().reset(GAME).replace(GAME.task, spoken)
    assert game.task == spoken
    assert dataclasses.replace(game, grammar=GAME.grammar) == saying(written)


@settings(max_examples=300, deadline=None)
@given(st.text())
def test_whatever_people_write_the_game_says_its_goal_and_plays_as_before(written: str) -> None:
    spoken = speakable(written)
    assert speakable(spoken) == spoken and len(spoken) <= 7 * len(written) + 1
    if not spoken:
        assert human_goals(saying(written)) == ()
        return
    game = in_human_words(saying(written), 0)
    simulator = Simulator()
    assert simulator.reset(game).endswith(f"\n\nYour task is to: {spoken}") and game.task == spoken
    commands = simulator.admissible_commands()
    simulator.reset(GAME)
    assert commands == simulator.admissible_commands()


@given(st.text(st.sampled_from("abcdefghij ABC,'&-()é7"), min_size=1))
def test_a_sentence_that_can_be_said_is_left_alone_but_for_blanks_and_its_end(written: str) -> None:
    spoken = speakable(f"Put{written}.")
    assert spoken == " ".join(f"Put{written}.".split())


def test_sentences_that_say_nothing_do_not_count() -> None:
    game = dataclasses.replace(GAME, human_goals=("", "  \n", "{}", "Put it down", "..."))
    assert human_goals(game) == ("Put it down.",)
    assert in_human_words(game, 0).task == "Put it down."


@pytest.mark.parametrize("goal", [-1, 1, True, "0", 0.0])
def test_a_goal_that_is_not_there_is_one_line(goal: object) -> None:
    with pytest.raises(UsageError, match="no goal .*: those of .* are numbered 0 to 0"):
        in_human_words(saying("Put it down"), goal)  # type: ignore[arg-type]


def test_without_annotations_or_without_a_place_for_them_there_is_no_human_goal() -> None:
    with pytest.raises(UsageError, match="nobody wrote about this game; play it with goals='templated'"):
        in_human_words(GAME, 0)
    with pytest.raises(DataError, match="no task sentence"):
        in_human_words(dataclasses.replace(saying("Put it down"), grammar="grammar"), 0)
