"""A world of one command, with an expert."""

from __future__ import annotations

from typing import Any

import numpy as np

from oreo.envs.text_env import TextEnv

COMMANDS = ["go to shelf 1", "take cup 1 from shelf 1", "open box 2", "look"]


class Errand(TextEnv):
    """Wants "look" eight times."""

    max_steps = 40

    def start(self, rng: np.random.Generator) -> str:
        self.remaining = 8
        self.valid = True
        return "You are here."

    def act(self, text: str) -> tuple[str, float, bool]:
        self.valid = text in COMMANDS
        self.remaining -= text == "look"
        return ("Yes." if self.valid else "Nothing happens."), float(self.remaining == 0), self.remaining == 0

    def info(self) -> dict[str, Any]:
        return {"admissible_commands": COMMANDS, "action_valid": self.valid}

    def expert_action(self) -> str:
        return "look"
