"""oreo.training.methods.kto: prompts and completions that do not belong together, and their weight."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.small_models import rollouts
from helpers.training import a_new_run, gradient, log_ratio_of
from oreo.training.config import TrainConfig
from oreo.training.methods.kto import mismatched
from oreo.training.rows import Example

torch.set_num_threads(1)


def rows(start: Path, tmp_path: Path) -> list[Example]:
    return a_new_run(rollouts(), TrainConfig(method="kto", model=str(start)), tmp_path).rows.examples


def test_each_prompt_gets_the_completion_of_the_next_row_of_another_game(start: Path, tmp_path: Path) -> None:
    examples = rows(start, tmp_path)
    for index, (example, pair) in enumerate(zip(examples, mismatched(examples, None), strict=True)):
        after = examples[index + 1 :] + examples[: index + 1]
        other = next(candidate for candidate in after if candidate.name != example.name)
        assert (pair.name, pair.won) == (other.name, other.won)
        (piece,), (prompt,), (completion,) = pair.pieces, example.pieces, other.pieces
        begin, start_of = int(prompt.action_mask.argmax()), int(completion.action_mask.argmax())
        assert piece.input_ids[:begin].tolist() == prompt.input_ids[:begin].tolist()
        assert piece.input_ids[begin:].tolist() == completion.input_ids[start_of:].tolist()
        assert piece.action_mask.sum() == completion.action_mask.sum() and not piece.action_mask[:begin].any()


def test_where_all_are_of_one_game_the_next_row_is_taken_and_what_is_too_long_is_cut(
    start: Path, tmp_path: Path
) -> None:
    examples = [Example(example.trajectories, example.won, "one") for example in rows(start, tmp_path)[:3]]
    whole = [pair.pieces[0].input_ids for pair in mismatched(examples, None)]
    last_actions = [int(example.pieces[0].action_mask.sum()) for example in examples]
    pairs = mismatched(examples, None)
    assert [int(pair.pieces[0].action_mask.sum()) for pair in pairs] == [*last_actions[1:], last_actions[0]]
    for ids, pair in zip(whole, mismatched(examples, 9), strict=True):
        assert np.array_equal(pair.pieces[0].input_ids, ids[:9])


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_it_begins_by_pushing_a_lost_trajectory_down_by_its_weight(weight: float, start: Path, tmp_path: Path) -> None:
    config = TrainConfig(method="kto", model=str(start), undesirable_weight=weight)
    run = a_new_run(rollouts(), config, tmp_path)
    row = next(index for index, example in enumerate(run.rows.examples) if not example.won)
    metrics, _ = run.backward([row])
    assert metrics["loss"] == pytest.approx(weight / 2) and metrics["reference_point"] == pytest.approx(0, abs=1e-6)
    pushed = gradient(run)
    run.modules.models["policy"].zero_grad()
    (piece,) = run.rows.examples[row].pieces
    # λ σ(β (ratio - z)): at ratio = z = 0 its slope is λ β / 4.
    (weight * 0.1 / 4 * log_ratio_of(run, piece.input_ids, piece.action_mask)).backward()
    for key, tensor in gradient(run).items():
        torch.testing.assert_close(pushed[key], tensor, rtol=1e-3, atol=1e-6)
    assert math.isfinite(metrics["loss"])
