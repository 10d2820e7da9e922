"""`small`: the helpers of small_models.py, imported only by the tests that ask for them (they need transformers).

`exact`: those of exact_process.py.

`four`: an environment that begins when four processes have come to play it, and a way to kill one of them.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import sys
from pathlib import Path
from types import ModuleType

import pytest


def beside(name: str) -> ModuleType:
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    assert spec is not None and spec.loader is not None
    module = sys.modules.setdefault(spec.name, importlib.util.module_from_spec(spec))
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def small() -> ModuleType:
    return beside("small_models")


@pytest.fixture(scope="session")
def exact() -> ModuleType:
    return beside("exact_process")


GATHERING = """
import os, pathlib, time
from oreo.envs import TextEnv

HERE = pathlib.Path(__file__).parent / "processes"

class Gathering(TextEnv):
    max_steps = 2

    def start(self, rng):
        (HERE / str(os.getpid())).touch()
        while len(list(HERE.iterdir())) < 4:
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


class Four:
    def __init__(self, folder: Path) -> None:
        (folder / "processes").mkdir()
        (folder / "gathering.py").write_text(GATHERING)
        self.folder, self.env = folder, f"{folder / 'gathering.py'}:Gathering"
        self.stored: list[bool] = []

    def processes(self) -> set[int]:
        """Ids of those that have played."""
        return {int(file.name) for file in (self.folder / "processes").iterdir()}

    def kill_one(self, won: bool) -> None:
        """For `on_episode`: when the fifth is stored, one process is killed."""
        self.stored.append(won)
        if len(self.stored) == 5:
            assert len(self.processes()) == 4
            os.kill(min(self.processes()), signal.SIGKILL)


@pytest.fixture
def four(tmp_path: Path) -> Four:
    return Four(tmp_path)
