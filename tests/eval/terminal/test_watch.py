"""eval/terminal/watch.py: an agent that is watched plays as if it were not."""

from __future__ import annotations

import io
import os
import re

from rich.console import Console

from helpers.commands import GUESS
from oreo.agents import load_agent
from oreo.eval.terminal.watch import watch
from oreo.rollouts.loop import rollout


class Leaving(io.StringIO):
    """A terminal with somebody in front of it, who presses q at the first frame."""

    def __init__(self, keyboard: int) -> None:
        super().__init__()
        self.keyboard = keyboard

    def write(self, text: str) -> int:
        if "I think of a number" in text:
            os.write(self.keyboard, b"q")
        return super().write(text)


def test_the_episode_is_the_first_one_of_a_rollout_with_the_same_seed() -> None:
    shown = io.StringIO()
    watched = watch(GUESS, load_agent("expert"), seed=5, delay=0, console=Console(file=shown, width=120))
    (played,) = rollout(GUESS, agent="expert", episodes=1, seed=5, batch_size=1)
    assert watched is not None and (watched.steps, watched.agent) == (played.steps, "expert")
    turns = re.findall(r"^ *\d+ > (.*?)(?:  .*)?$", shown.getvalue(), re.MULTILINE)
    assert turns == [step.action for step in played.steps]


def test_who_leaves_before_the_end_has_no_episode(keyboard: int) -> None:
    console = Console(file=Leaving(keyboard), force_terminal=True, width=80, height=24)
    assert watch(GUESS, load_agent("random"), seed=5, delay=5.0, console=console) is None
