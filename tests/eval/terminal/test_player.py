"""eval/terminal/player.py: frames are drawn in place, and keys go to and fro between them."""

from __future__ import annotations

import io
import os
import re
from dataclasses import replace

import pytest
from rich.cells import cell_len
from rich.console import Console

from oreo.eval.terminal.replay import replay
from oreo.trajectory import Candidate, Step, Trajectory

THREE = Trajectory(
    "env", tuple(Step(f"saw {n}", f"do {n}", value=n / 4) for n in range(3)), "the end", False, True, False
)


class Watcher(io.StringIO):
    """A terminal with somebody in front of it, who presses the next key whenever a frame has been drawn."""

    def __init__(self, keyboard: int | None = None, presses: bytes = b"") -> None:
        super().__init__()
        self.keyboard, self.presses = keyboard, list(presses)
        self.frames: list[int] = []

    def write(self, text: str) -> int:
        for number in re.findall(r"step (\d) of 3", text):
            self.frames.append(int(number))
            if self.keyboard is not None and self.presses:
                os.write(self.keyboard, bytes([self.presses.pop(0)]))
        return super().write(text)

    def shown(self) -> list[int]:
        """The frames, without the last one that rich draws once more when it lets the terminal go."""
        return self.frames[:-1]

    def console(self, width: int = 80, height: int = 24) -> Console:
        return Console(file=self, force_terminal=True, width=width, height=height, color_system=None)


def test_without_a_keyboard_the_episode_plays_to_its_end() -> None:
    watcher = Watcher()
    replay(THREE, delay=0.0, paused=True, console=watcher.console())
    assert "step 3 of 3, out of steps" in watcher.getvalue()


@pytest.mark.parametrize("height", [1, 2, 5, 24])
@pytest.mark.parametrize("width", [1, 2, 3, 8, 20, 24, 25, 28, 40])
def test_on_a_small_terminal_the_episode_plays_to_its_end_and_nothing_is_wider(width: int, height: int) -> None:
    candidates = (Candidate("do 漢字 👩\u200d🔬", -1.0, 0.5), Candidate("go " * 50, -2.0, 0.25))
    steps = tuple(Step("saw " * 40, "do 漢字 👩\u200d🔬", value=n / 4, candidates=candidates) for n in range(3))
    watcher = Watcher()
    replay(replace(THREE, steps=steps), delay=0.0, console=watcher.console(width, height))
    drawn = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", watcher.getvalue())
    assert max(cell_len(line) for line in re.split(r"[\r\n]+", drawn)) <= width
    assert len(drawn) > 3


def test_stepping_forth_and_back_and_leaving(keyboard: int) -> None:
    watcher = Watcher(keyboard, b"nnpnq")
    replay(THREE, delay=60.0, paused=True, console=watcher.console())
    assert watcher.shown() == [0, 1, 2, 1, 2]


def test_back_stops_the_clock_and_space_starts_it_again(keyboard: int) -> None:
    watcher = Watcher(keyboard, b"np ")
    replay(THREE, delay=0.2, console=watcher.console())
    assert watcher.shown() == [0, 1, 0, 1, 2, 3]
