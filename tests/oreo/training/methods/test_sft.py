"""oreo.training.methods.sft: the mean over tokens that are to be imitated, and over no others."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers.small_models import rollouts
from helpers.training import a_new_run
from oreo.models.loading import load_policy
from oreo.training.config import TrainConfig
from oreo.training.methods.sft import tokens

torch.set_num_threads(1)


def data() -> list[Any]:
    """Half of the first turns are not to be imitated."""
    return [
        dataclasses.replace(
            episode,
            steps=tuple(
                dataclasses.replace(step, imitate=not (at == 0 and index % 2 and len(episode) > 1))
                for at, step in enumerate(episode.steps)
            ),
        )
        for index, episode in enumerate(rollouts())
    ]


@pytest.mark.parametrize("micro_tokens", [1, 10_000])
def test_the_loss_is_the_mean_over_all_imitated_tokens_of_the_batch(
    micro_tokens: int, start: Path, tmp_path: Path
) -> None:
    run = a_new_run(data(), TrainConfig(method="sft", model=str(start), micro_tokens=micro_tokens), tmp_path)
    policy, _ = load_policy(start)
    losses = []
    with torch.no_grad():
        for example in run.rows.examples:
            for piece in example.pieces:
                ids, imitate = torch.as_tensor(piece.input_ids)[None], torch.as_tensor(piece.imitate)[1:]
                log_probs = policy(ids).logits[0, :-1].log_softmax(-1).gather(-1, ids[0, 1:, None])[:, 0]
                losses += (-log_probs[imitate]).tolist()
    metrics, _ = run.backward(range(len(run.rows.examples)))
    assert metrics["loss"] == pytest.approx(sum(losses) / len(losses), rel=1e-5)
    assert sum(map(tokens, run.rows.examples)) == len(losses)


def test_rejection_imitates_the_won_alone(start: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = dict(model=str(start))
    every = a_new_run(data(), TrainConfig(method="sft", **settings), tmp_path).rows.examples
    won = a_new_run(data(), TrainConfig(method="rejection", **settings), tmp_path).rows.examples
    assert all(example.won for example in won) and len(won) == sum(example.won for example in every) < len(every)
