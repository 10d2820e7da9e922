"""oreo.eval.terminal.transcript: everything stands in it, at any width, and hits are counted where they begin."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from helpers.stored_episodes import KITCHEN, LOST
from oreo.eval.terminal.replay import view_at
from oreo.eval.terminal.screen import View
from oreo.eval.terminal.transcript import transcript
from oreo.text import steers
from oreo.trajectory import Step

WON = view_at(KITCHEN, len(KITCHEN))


def plain(view: View, width: int = 60, query: str = "") -> list[str]:
    return [line.text.plain.rstrip() for line in transcript(view, width, query)]


def test_the_whole_of_an_episode() -> None:
    assert plain(WON) == [
        "You see a fridge 1, and a countertop 1.",
        "Your task is to: cool some tomato.",
        "  1 ▲0.25  > go to countertop 1",
        "    On the countertop 1, you see a tomato 1.",
        "  2 ▼0.38  ✗ tkae tomato 1  refused",
        "    Nothing happens.",
        "  3 ▲0.62  > take tomato 1",
        "    You pick up the tomato 1.",
        "          Thought: again.",
        "          Action: cool tomato 1",
        "  4 ▲0.12  > cool tomato 1",
        "    You cool the tomato 1.",
        "  5 ▲0.12  > put tomato 1  reward +1",
        "    You put the tomato 1.",
    ]
    assert [line.position for line in transcript(WON, 60)] == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 4, 4, 5, 5]


def test_without_values_no_room_is_kept_for_advantages() -> None:
    view = replace(WON, steps=tuple(replace(step, value=None, candidates=()) for step in WON.steps))
    assert "  1 > go to countertop 1" in plain(view)


def test_a_turn_of_a_person_is_marked() -> None:
    view = replace(WON, steps=(replace(WON.steps[0], actor="person"), *WON.steps[1:]))
    assert "  1 ▲0.25  > go to countertop 1  by a person" in plain(view)


def test_hits_are_counted_without_regard_to_case_and_where_they_begin() -> None:
    lines = transcript(WON, 60, "TOMATO 1")
    assert [(line.position, line.hits) for line in lines if line.hits] == [
        (1, 1), (2, 1), (3, 1), (3, 1), (4, 1), (4, 1), (4, 1), (5, 1), (5, 1),
    ]  # fmt: skip
    assert not any(line.hits for line in transcript(WON, 60, "a(b"))


def test_a_hit_that_is_wrapped_counts_once() -> None:
    view = View("e", "a", "one two three four five six")
    for width in range(4, 30):
        assert sum(line.hits for line in transcript(view, width, "three four")) == 1, width


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40) | st.sampled_from(
    ["漢字かな" * 9, "e\u0301" * 30, "👩\u200d👩\u200d👧 " * 5, "\x1b[2J\x1b]0;x\x07", "word " * 30]
)


@given(st.integers(-3, 30), texts, texts, texts)
@settings(max_examples=150)
def test_no_text_makes_a_line_wider_than_it_may_be_or_steers_the_terminal(
    width: int, observation: str, action: str, query: str
) -> None:
    steps = (Step(observation, action, turn=observation, action_valid=False, reward=-1.0, value=0.5),)
    for line in transcript(View("e", "a", observation, steps=steps), width, query):
        assert cell_len(line.text.plain) <= max(1, width)
        assert not any(steers(character) for character in line.text.plain)


def test_an_observation_of_a_million_letters_is_cut_and_counted() -> None:
    shown = plain(replace(view_at(LOST, 0), observation="word " * 200_000, steps=()), 80)
    assert shown[-1] == "… 800,000 more characters"
