"""`oreo watch`."""

from __future__ import annotations

import re

from helpers.commands import GUESS

HANGS = """
import time
from oreo.envs import TextEnv

class Hangs(TextEnv):
    def start(self, rng):
        return "Say something."

    def act(self, text):
        time.sleep(30)
        return "You did.", 1.0, True
"""


def test_watching_without_a_terminal_prints_every_step(oreo) -> None:
    code, out, error = oreo("watch", "--env", GUESS, "--agent", "expert", "--delay", 9, "--seed", 5)
    assert code == 0, error
    assert "  1 > 49" in out.splitlines()
    assert re.fullmatch(r"won after \d+ steps, return 1", out.splitlines()[-1])


def test_a_world_that_hangs_is_named_with_its_step_after_the_deadline(oreo, tmp_path) -> None:
    (tmp_path / "worlds.py").write_text(HANGS)
    for command in ("watch --delay 0", "iterate --rounds 1 --episodes 1 --held-out 1 --output o"):
        line = f"{command} --env worlds.py:Hangs --step-timeout 0.1"
        code, _, error = oreo(*line.split(), *(["--agent", "random"] if command.startswith("watch") else []))
        assert code == 1
        assert "worlds.py:Hangs in episode 0, step 1: step took longer than 0.1 s" in error.splitlines()[-1]
