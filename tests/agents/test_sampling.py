"""Draws follow their distribution and depend on nothing but their own numbers."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from oreo.agents.sampling import draw

LOGITS = torch.tensor([[0.0, 1.0, 2.0, -torch.inf, 0.5], [3.0, 0.0, 0.0, 1.0, -1.0]])


def test_frequencies_are_the_probabilities() -> None:
    uniform = (np.arange(20000) + 0.5) / 20000
    tokens, log_probs = draw(LOGITS, np.stack([uniform, uniform]), temperature=0.7)
    for row in range(2):
        expected = (LOGITS[row] / 0.7).softmax(-1)
        found = np.bincount(tokens[row], minlength=5) / 20000
        assert np.allclose(found, expected, atol=1e-3)
        assert np.allclose(np.exp(log_probs[row]), expected[tokens[row]], atol=1e-6)


@pytest.mark.parametrize("uniform", [0.0, 1 - 2.0**-53])
def test_the_ends_of_the_interval_are_tokens_of_some_probability(uniform: float) -> None:
    tokens, log_probs = draw(torch.tensor([[-torch.inf, 0.0, 0.0, -torch.inf]]), np.array([[uniform]]))
    assert tokens[0, 0] in (1, 2) and log_probs[0, 0] == pytest.approx(np.log(0.5))


def test_temperature_zero_is_the_likeliest_token_under_the_models_own_probabilities() -> None:
    tokens, log_probs = draw(LOGITS, np.full((2, 3), 0.99), temperature=0)
    assert tokens.tolist() == [[2, 2, 2], [0, 0, 0]]
    assert log_probs[0, 0] == pytest.approx(float(LOGITS[0].log_softmax(-1)[2]))


def test_the_nucleus_is_the_smallest_set_that_holds_top_p() -> None:
    logits = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    uniform = np.linspace(0, 1, 1000, endpoint=False)[None]
    for top_p, size in [(0.4, 1), (0.6, 2), (0.9, 3), (0.99, 4)]:
        tokens, log_probs = draw(logits, uniform, top_p=top_p)
        assert set(tokens[0]) == set(range(size))
        kept = logits[0, :size].softmax(-1)
        assert np.allclose(np.exp(log_probs[0]), kept[tokens[0]], atol=1e-6)


def test_rows_do_not_know_of_each_other() -> None:
    uniform = np.random.default_rng(0).random((2, 50))
    both, _ = draw(LOGITS, uniform, top_p=0.8)
    for row in range(2):
        assert (draw(LOGITS[row : row + 1], uniform[row : row + 1], top_p=0.8)[0] == both[row]).all()
