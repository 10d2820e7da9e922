"""The list of a buffer's episodes: what is shown, sorted, found, filtered and opened."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from textual.pilot import Pilot

from helpers.pilot import shown, text_of, until
from helpers.stored_episodes import KITCHEN, LOST
from oreo.cli.screens import stored_job
from oreo.data.buffer import TrajectoryBuffer
from oreo.eval.terminal.app.list_screen import ListScreen
from oreo.eval.terminal.app.reader_screen import ReaderScreen, stored_episode


@pytest.fixture
def screen(tmp_path: Path) -> ListScreen:
    buffer = TrajectoryBuffer(tmp_path / "b")
    strange = replace(LOST, task="漢字 e\u0301 \x1b[2J")
    buffer.extend([KITCHEN, LOST, replace(KITCHEN, task="heat an egg."), LOST, strange])
    job = stored_job(None, None, {}, None)
    return ListScreen(buffer, episode=lambda stored: stored_episode(stored, job=job))


def rows(pilot: Pilot) -> list[str]:
    return [line.split()[0] for line in shown(pilot)[1:-2] if line.split() and line.split()[0].isdigit()]


def test_rows_with_outcome_and_values_at_a_glance(screen: ListScreen, watched) -> None:
    async def script(pilot: Pilot) -> None:
        await until(pilot, lambda: "▅" in text_of(pilot))
        lines = shown(pilot)
        assert lines[0] == "   no▲    steps  return type           task                        values"
        assert lines[1] == "     0 ✓      5       1 pick_c…n_recep cool some tomato.           ▂▅▁▇█"
        assert lines[2] == "     1 ✗      2       0                find a pen.                 █▁"
        assert lines[5].split()[:6] == ["4", "✗", "2", "0", "漢字", "e\u0301"]
        assert "5 episodes, 2 won, 3 lost" in lines[-2]

    watched(screen, script)


def test_sorting_keeps_the_present_row_and_goes_both_ways(screen: ListScreen, watched) -> None:
    async def script(pilot: Pilot) -> None:
        await pilot.press("down", "down", "s", "s")
        assert rows(pilot) == ["1", "3", "4", "0", "2"] and screen.list.row == 2
        await pilot.press("S")
        assert rows(pilot) == ["0", "2", "1", "3", "4"] and screen.list.row == 2
        await pilot.click(screen.columns, offset=(3, 0))
        assert rows(pilot) == ["0", "1", "2", "3", "4"]
        await pilot.click(screen.columns, offset=(3, 0))
        assert rows(pilot) == ["4", "3", "2", "1", "0"]

    watched(screen, script)


def test_finding_filtering_and_the_next_lost_one(screen: ListScreen, watched) -> None:
    async def script(pilot: Pilot) -> None:
        await pilot.press("slash", *"egg")
        assert screen.list.row == 2
        await pilot.press("escape", "n", "n")
        assert screen.list.row == 4
        await pilot.press("f", *"not won and stps > 1", "enter")
        assert "⟨here⟩stps" in text_of(pilot)  # the message says where, and what to type instead
        assert len(rows(pilot)) == 5
        await pilot.press(*["backspace"] * 20, *"not won", "enter")
        await until(pilot, lambda: rows(pilot) == ["1", "3", "4"])
        assert screen.condition == "not won"
        await pilot.press("escape")
        await until(pilot, lambda: len(rows(pilot)) == 5)

    watched(screen, script, (100, 24))


def test_an_episode_is_opened_and_esc_goes_back_to_where_one_came_to(screen: ListScreen, watched) -> None:
    async def script(pilot: Pilot) -> None:
        await pilot.press("down", "enter")
        assert isinstance(pilot.app.screen, ReaderScreen) and "find a pen." in text_of(pilot)
        await pilot.press("n", "escape")
        assert pilot.app.screen is screen and screen.list.row == 3

    watched(screen, script)


@pytest.mark.parametrize("size", [(200, 60), (40, 12), (12, 4)])
def test_any_size(size: tuple[int, int], screen: ListScreen, watched) -> None:
    async def script(pilot: Pilot) -> None:
        await pilot.press("down", "end", "pageup", "home", "down")
        assert screen.list.row == 1
        if size[0] >= 40:
            assert "find a pen." in text_of(pilot)

    watched(screen, script, size)


def test_what_is_stored_meanwhile_appears_and_one_stays_where_one_is(tmp_path: Path, watched) -> None:
    buffer = TrajectoryBuffer(tmp_path / "grows")
    buffer.extend([KITCHEN, LOST])
    job = stored_job(None, None, {}, None)
    screen = ListScreen(
        TrajectoryBuffer(tmp_path / "grows", create=False),
        episode=lambda stored: stored_episode(stored, job=job),
        follow=True,
    )

    async def script(pilot: Pilot) -> None:
        await until(pilot, lambda: screen.rows.complete)
        buffer.append(LOST)
        await until(pilot, lambda: rows(pilot) == ["0", "1", "2"])
        assert screen.list.row == 0
        await pilot.press("end")
        buffer.append(KITCHEN)
        await until(pilot, lambda: len(rows(pilot)) == 4)
        assert screen.list.row == 3

    watched(screen, script, (100, 20))
