"""A text environment in twenty lines: guess a number from 0 to 99 in ten questions.

oreo collect --env examples/guess.py:Guess --agent expert --episodes 100 --into runs/guess
"""

import numpy as np

from oreo.envs import TextEnv


class Guess(TextEnv):
    max_steps = 10

    def start(self, rng: np.random.Generator) -> str:
        self.number, self.low, self.high = int(rng.integers(100)), 0, 99
        return "I think of a number from 0 to 99."

    def act(self, text: str) -> tuple[str, float, bool]:
        if not (text.isdecimal() and len(text) < 3):
            return "A number from 0 to 99, please.", 0.0, False
        guess = int(text)
        if guess < self.number:
            self.low = max(self.low, guess + 1)
            return "higher", 0.0, False
        if guess > self.number:
            self.high = min(self.high, guess - 1)
            return "lower", 0.0, False
        return "Right!", 1.0, True

    def expert_action(self) -> str:
        return str((self.low + self.high) // 2)
