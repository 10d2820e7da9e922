"""What an episode looks like: as text on a console of fixed size without colours, and as plain lines."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from oreo.eval.terminal.charts import chart, sparkline
from oreo.eval.terminal.replay import replay, view_at
from oreo.eval.terminal.screen import View, crop, lines, render
from oreo.text import clean, steers
from oreo.trajectory import Candidate, Step, Trajectory

KITCHEN = Trajectory(
    env_id="oreo/ALFWorld-v0",
    steps=(
        Step(
            "You see a fridge 1, and a countertop 1.\n\nYour task is to: cool some tomato.",
            "go to countertop 1",
            value=0.25,
            candidates=(Candidate("open fridge 1", -1.5, 0.125), Candidate("go to countertop 1", -0.25, 0.5)),
        ),
        Step("On the countertop 1, you see a tomato 1.", "tkae tomato 1", action_valid=False, value=0.5),
        Step("Nothing happens.", "cool tomato 1", turn="Thought: again.\nAction: cool tomato 1", reward=1.0, value=1.0),
    ),
    final_observation="You cool the tomato 1.",
    terminated=True,
    truncated=False,
    won=True,
    task="cool some tomato.",
    task_type="pick_cool_then_place_in_recep",
    game="generated/0/7/put-8-14",
    agent="best_of_2(lm(temperature=1.0))",
)


def drawn(view: View, width: int = 80, height: int = 23) -> list[str]:
    console = Console(width=width, height=height, color_system=None, record=True, file=open("/dev/null", "w"))
    console.print(render(view, width=width, height=height))
    return [line.rstrip() for line in console.export_text().splitlines()]


def test_the_whole_screen_after_the_first_step() -> None:
    assert drawn(view_at(KITCHEN, 1), height=18) == [
        "cool some tomato.",
        "oreo/ALFWorld-v0 · pick_cool_then_place_in_recep · generated/0/7/put-8-14",
        "─" * 80,
        "You see a fridge 1, and a countertop 1.",
        "Your task is to: cool some tomato.",
        "  1 > go to countertop 1",
        "    On the countertop 1, you see a tomato 1.",
        "",
        "",
        "considered at step 1 " + "─" * 59,
        "▸ go to countertop 1    V 0.50   log p -0.25",
        "  open fridge 1         V 0.12   log p -1.50",
        "value of each state, now 0.25 " + "─" * 50,
        "  0.30",
        "       ▅▅▅",
        "  0.20 ███",
        "─" * 80,
        "step 1 of 3  best_of_2(lm(temperature=1.0))        ←/→ step  space pause  q quit",
    ]


def test_the_plain_lines_hold_everything() -> None:
    assert lines(view_at(KITCHEN, 3)) == [
        "env: oreo/ALFWorld-v0",
        "game: generated/0/7/put-8-14",
        "agent: best_of_2(lm(temperature=1.0))",
        "task: cool some tomato.",
        "    You see a fridge 1, and a countertop 1.",
        "    Your task is to: cool some tomato.",
        "  1 > go to countertop 1   (V 0.25)",
        "      * go to countertop 1   (V 0.50, log p -0.25)",
        "      - open fridge 1   (V 0.12, log p -1.50)",
        "    On the countertop 1, you see a tomato 1.",
        "  2 > tkae tomato 1   (refused, V 0.50)",
        "    Nothing happens.",
        "  3   Thought: again. Action: cool tomato 1",
        "  3 > cool tomato 1   (reward +1, V 1.00)",
        "    You cool the tomato 1.",
        "values: ▁▃█",
        "won after 3 steps, return 1",
    ]


def test_lines_of_all_views_together_are_the_lines_of_the_last() -> None:
    one_by_one = [line for n in range(4) for line in lines(view_at(KITCHEN, n), after=n - 1)]
    assert one_by_one == lines(view_at(KITCHEN, 3))


def test_admissible_commands_stand_in_the_order_of_their_likelihood_and_a_short_context_is_said() -> None:
    commands = (Candidate("look", -3.0), Candidate("go to desk 1", -0.5), Candidate("inventory", -2.0))
    step = Step("A room.", "go to desk 1", candidates=commands, context_start=4)
    trajectory = Trajectory("e", (step,), "A desk.", terminated=False, truncated=True, won=False)
    assert lines(view_at(trajectory, 1))[2:6] == [
        "  1 > go to desk 1   (told from step 5)",
        "      * go to desk 1   (log p -0.50)",
        "      - inventory   (log p -2.00)",
        "      - look   (log p -3.00)",
    ]


TEXTS = st.text(max_size=300) | st.text("Ŵ漢🎲\x1b[31m\t\n\r\x00 ab", max_size=300)
VALUES = st.none() | st.floats(-1e6, 1e6)
CANDIDATES = st.lists(st.builds(Candidate, text=TEXTS, log_prob=VALUES, value=VALUES), max_size=8).map(tuple)
STEPS = st.lists(
    st.builds(Step, observation=TEXTS, action=TEXTS, turn=st.none() | TEXTS, value=VALUES, candidates=CANDIDATES),
    max_size=60,
)


NUMBERS = VALUES | st.sampled_from([math.nan, math.inf, -math.inf, 1e308, -1e308])
PLAIN = KITCHEN.steps[0]


def check(view: View, width: int, height: int) -> None:
    shown = drawn(view, width, height)
    assert len(shown) <= height
    assert all(cell_len(line) <= width for line in shown)
    assert not any(steers(character) for line in [*shown, *lines(view)] for character in line)


@settings(max_examples=60, deadline=None)
@given(STEPS, TEXTS, TEXTS, TEXTS, st.integers(1, 300), st.integers(1, 60))
def test_any_episode_fits_any_screen_and_cannot_steer_the_terminal(
    steps: list[Step], observation: str, task: str, agent: str, width: int, height: int
) -> None:
    view = View("env", agent, observation, task=task, game=task, steps=tuple(steps), length=50, hint="q quit")
    check(view, width, height)


@pytest.mark.parametrize("width", [*range(1, 30), 39, 40, 41, 60, 79, 80, 81, 100, 120, 159, 200, 240, 300])
def test_every_width_shows_an_episode_with_candidates_and_values(width: int) -> None:
    for position in range(4):
        check(view_at(KITCHEN, position), width, 23)


@pytest.mark.parametrize("height", range(1, 30))
def test_a_low_terminal_still_shows_what_was_done_last(height: int) -> None:
    view = replace(view_at(KITCHEN, 3), outcome="")
    check(view, 80, height)
    shown = "\n".join(drawn(view, 80, height))
    assert "step 3 of 3" in shown
    assert height < 4 or "You cool the tomato 1." in shown
    assert height < 5 or "> cool tomato 1" in shown


WIDE = [
    "漢字かな交じり文" * 30,
    "👨\u200d👩\u200d👧\u200d👦 🇩🇪 👍🏽 ⚠\ufe0f 1\ufe0f\u20e3 " * 20,
    "e\u0301" * 200,
    "\u0301" * 5000,
    ("\u0301" * 500 + "e") * 20,
    "한\u1112\u1161\u11ab글" * 40,
    "नमस्ते दुनिया " * 30,
    "\u0627\u0644\u0639\u0631\u0628\u064a\u0629 " * 30,
    "ｆｕｌｌ　ｗｉｄｔｈ　" * 20,
    "word" * 200,
]


@pytest.mark.parametrize("text", WIDE, ids=range(len(WIDE)))
def test_wide_joined_and_combining_characters_fit_at_every_width(text: str) -> None:
    step = Step(text, text, turn=f"Thought: {text}", value=0.5, candidates=(Candidate(text, -1.0, 0.5),) * 3)
    view = View(text, text, text, text, text, text, (step, step), 2, text, "q quit")
    for width in (1, 2, 3, 4, 5, 8, 13, 20, 21, 80, 300):
        check(view, width, 20)
        assert cell_len(crop(clean(text), width)) <= width


def test_a_book_for_an_observation_costs_no_more_than_its_first_lines() -> None:
    step = Step("long " * 200_000, "read", value=0.5)
    view = View("env", "agent", "x" * 1_000_000, steps=(step,) * 2000, length=2000)
    started = time.process_time()  # the machine may be busy with other tests
    drawn(view)
    assert time.process_time() - started < 60


@given(st.lists(NUMBERS, max_size=30), st.integers(1, 300))
def test_values_that_are_no_numbers_or_huge_are_gaps_or_fit(values: list[float | None], width: int) -> None:
    steps = tuple(replace(PLAIN, value=value, candidates=(Candidate("a", value, value),)) for value in values)
    check(View("env", "agent", "seen", steps=steps), width, 24)


@given(st.text(max_size=100) | st.text("漢a\u0301\u200d👩\ufe0f⚠🇩🇪", max_size=100), st.integers(-5, 50))
def test_cropped_text_fits(text: str, width: int) -> None:
    cropped = crop(text, width)
    assert cell_len(cropped) <= max(0, width)
    assert cropped == text or cell_len(text) > width


def test_the_ends_of_a_cropped_text_stay() -> None:
    assert crop("put tomato 1 in/on fridge 1", 14) == "put to…ridge 1"
    assert [crop("abcdef", width) for width in (0, 1, 2, 3, 5, 6)] == ["", "…", "…f", "a…f", "ab…ef", "abcdef"]


def test_a_sparkline_has_a_cell_for_every_value_and_a_gap_for_none() -> None:
    assert sparkline([0.0, None, 0.5, 1.0]) == "▁ ▅█"
    assert sparkline([]) == sparkline([None]) == ""


def test_a_chart_of_several_rows_stacks_its_blocks() -> None:
    assert chart([0.0, 0.5, 1.0], 0.0, 1.0, rows=2) == [" ▁█", "▁██"]


def test_values_that_hardly_differ_do_not_look_like_a_mountain() -> None:
    assert sparkline([0.500, 0.501, 0.502, 0.501]) == "▄▄▅▄"


def test_replaying_where_there_is_no_terminal_prints_plain_lines(capsys) -> None:
    replay(KITCHEN, delay=60.0)
    printed = capsys.readouterr().out.splitlines()
    assert printed == lines(view_at(KITCHEN, 3))


def test_plain_lines_are_neither_wrapped_nor_taken_for_markup() -> None:
    step = Step("[red]start[/red] " + "word " * 100, "[bold]act :smile:")
    long = Trajectory("env", (step,), "end", True, False, False)
    console = Console(width=80, color_system=None, record=True, file=open("/dev/null", "w"))
    replay(long, console=console)
    text = console.export_text()
    assert "[red]start[/red] word" in text and "[bold]act :smile:" in text
    assert max(len(line) for line in text.splitlines()) > 400
