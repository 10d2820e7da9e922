"""What agents are compared with: plain passes over whole episodes, and worlds that bring out the difference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from helpers.word_models import Babble, make_model
from oreo.agents.language_model import LanguageModelAgent
from oreo.agents.reading import EpisodeReader
from oreo.encoding.turn_format import TurnFormat, tail
from oreo.trajectory import Trajectory

MAX_NEW_TOKENS = 6


def reread(model: Any, ids: list[int]) -> torch.Tensor:
    """Outputs [T, V] of one sequence: no cache, no batch, no attention of ours."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()


def check_against_rereading(
    model: Any, tokenizer: Any, trajectory: Trajectory, temperature: float, tolerance: float = 2e-4
) -> None:
    """Each turn's log-probability is that of its tokens in one plain pass over the episode, or a piece of it."""
    turn_format = TurnFormat.from_tokenizer(tokenizer)
    starts = []
    for encoded in turn_format.split(trajectory, None):
        logits = reread(model, encoded.input_ids.tolist())
        starts += [
            ((logits / (temperature or 1.0)).log_softmax(-1), start) for start in np.flatnonzero(encoded.step_start)
        ]
    before = [*zip(trajectory.steps, trajectory.steps[1:], strict=False)]
    preceding = ["", *(tail(step, after.observation) for step, after in before)]
    for step, end, (log_probs, start) in zip(trajectory.steps, preceding, starts, strict=True):
        ids = turn_format.turn(step.text, continues_message=step.continues_message, preceding=end)
        if len(ids) > MAX_NEW_TOKENS:
            ids = ids[:-1]  # cut off: its end was not sampled
        rows = range(start - 1, start - 1 + len(ids))
        expected = sum(float(log_probs[row, token]) for row, token in zip(rows, ids, strict=True))
        assert step.log_prob == pytest.approx(expected, abs=tolerance)
        if temperature == 0:
            assert [int(log_probs[row].argmax()) for row in rows] == ids


def agent_of(architecture: str, tokenizer: Any, **settings: Any) -> LanguageModelAgent:
    reader = EpisodeReader(make_model(architecture), tokenizer, **{"max_new_tokens": MAX_NEW_TOKENS} | settings)
    return LanguageModelAgent(reader)


def without_positions(forward: Any, input_ids: torch.Tensor, use_cache: bool = False, **ignored: Any) -> Any:
    return forward(input_ids=input_ids, use_cache=False)


class Endless(Babble):
    """Never ends before its last step."""

    max_steps = 50

    def start(self, rng: np.random.Generator) -> str:
        self.seed = int(rng.integers(1 << 30))
        return super().start(rng)

    def act(self, text: str) -> tuple[str, float, bool]:
        return self._words(1, 12), 0.0, False

    def info(self) -> dict[str, Any]:
        return {"seed": self.seed, "task": str(self.seed)}
