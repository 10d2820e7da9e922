"""An environment that begins when so many processes have come to play it, and a way to kill one of them."""

from __future__ import annotations

import os
import signal
from pathlib import Path

GATHERING = """
import os, pathlib, time
from oreo.envs import TextEnv

HERE = pathlib.Path(__file__).parent / "processes"
COUNT = %d

class Gathering(TextEnv):
    max_steps = 2

    def start(self, rng):
        (HERE / str(os.getpid())).touch()
        while len(list(HERE.iterdir())) < COUNT:
            time.sleep(0.01)
        self.number = int(rng.integers(1000))
        return f"Say {self.number}."

    def act(self, text):
        time.sleep(0.01)
        right = text == str(self.number)
        return "Right!" if right else "No.", float(right), right

    def expert_action(self):
        return str(self.number)
"""


class Gathered:
    def __init__(self, folder: Path, count: int = 4) -> None:
        (folder / "processes").mkdir()
        (folder / "gathering.py").write_text(GATHERING.replace("%d", str(count)))
        self.folder, self.count, self.env = folder, count, f"{folder / 'gathering.py'}:Gathering"
        self.stored: list[bool] = []

    def processes(self) -> set[int]:
        """Ids of those that have played."""
        return {int(file.name) for file in (self.folder / "processes").iterdir()}

    def kill_one(self, won: bool) -> None:
        """For `on_episode`: when the fifth is stored, one process is killed."""
        self.stored.append(won)
        if len(self.stored) == 5:
            assert len(self.processes()) == self.count
            os.kill(min(self.processes()), signal.SIGKILL)
