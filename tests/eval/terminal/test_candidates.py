"""oreo.eval.terminal.candidates: the best first, and whether the game accepts them."""

from __future__ import annotations

from helpers.stored_episodes import KITCHEN
from oreo.eval.terminal.candidates import figures, ranked
from oreo.trajectory import Candidate, Step


def test_each_candidate_is_told_with_its_count_and_whether_the_game_accepts_it() -> None:
    first, second = ranked(KITCHEN.steps[0])
    assert (first.text, first.taken, first.accepted, first.count) == ("go to countertop 1", True, True, 4)
    assert (second.text, second.taken, second.accepted, second.count) == ("open fridge 2", False, False, 1)
    assert figures(first) == ["V 0.50", "log p -0.25", "4 times"] and figures(second) == ["V 0.12", "log p -1.50"]


def test_what_nobody_says_is_not_claimed() -> None:
    (row,) = ranked(Step("o", "a", candidates=(Candidate("a"),)))
    assert row.accepted is None and figures(row) == []
    # The environment's word about the action that was taken counts for more than its list.
    (row,) = ranked(Step("o", "a", action_valid=True, admissible_commands=("b",), candidates=(Candidate("a"),)))
    assert row.accepted is True


def test_of_a_thought_the_action_is_what_the_game_accepts() -> None:
    thought = Candidate("Thought: so.\nAction: look")
    (row,) = ranked(Step("o", "jump", admissible_commands=("look",), candidates=(thought,)))
    assert row.accepted is True and not row.taken and row.text == "Thought: so. Action: look"
