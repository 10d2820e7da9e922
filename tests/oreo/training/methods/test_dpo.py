"""oreo.training.methods.dpo: the gradient of the loss on a model."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from helpers.small_models import rollouts, rollouts_of
from helpers.training import a_new_run, gradient, log_ratio_of
from oreo.encoding.turn_format import Encoded
from oreo.errors import DataError
from oreo.training.config import TrainConfig
from oreo.training.rows import parting

torch.set_num_threads(1)


def test_dpo_begins_by_pulling_up_the_won_and_pushing_down_the_lost_with_half_of_beta(
    start: Path, tmp_path: Path
) -> None:
    run = a_new_run(rollouts(), TrainConfig(method="dpo", model=str(start)), tmp_path)
    run.backward([3])
    of_run = gradient(run)
    run.modules.models["policy"].zero_grad()
    (won,), (lost,) = run.rows.examples[3].trajectories
    difference = log_ratio_of(run, won.input_ids, won.action_mask) - log_ratio_of(run, lost.input_ids, lost.action_mask)
    (-0.1 / 2 * difference).backward()
    for key, tensor in gradient(run).items():
        torch.testing.assert_close(of_run[key], tensor, rtol=1e-3, atol=1e-6)


def encoded(*turns: str, prompt: str = "o", observation: str = "x") -> Encoded:
    """A letter is a token; turns end with a full stop; the last one is paid."""
    text, mask, start, reward = prompt, [False] * len(prompt), [False] * len(prompt), [0.0] * len(prompt)
    for at, turn in enumerate(turns):
        words, seen = turn + ".", observation if at + 1 < len(turns) else ""
        text += words + seen
        mask += [True] * len(words) + [False] * len(seen)
        start += [True] + [False] * (len(words) - 1 + len(seen))
        reward += [0.0] * (len(words) - 1) + [float(at + 1 == len(turns))] + [0.0] * len(seen)
    marks = np.array(mask)
    return Encoded(np.array([ord(letter) for letter in text]), marks, np.array(start), np.array(reward), marks)


def text_of(piece: Encoded, mask: np.ndarray | None = None) -> str:
    return "".join(map(chr, piece.input_ids if mask is None else piece.input_ids[mask]))


@pytest.mark.parametrize(
    ("won", "lost", "common", "turns"),
    [
        (("ab", "cd", "e"), ("ab", "cf", "g"), "oab.x", ("cd.", "cf.")),
        (("ab",), ("ac", "e"), "o", ("ab.", "ac.")),
        (("ab", "c"), ("abd", "c"), "o", ("ab.", "abd.")),
        (("ab", "c", "d"), ("ab", "c", "e"), "oab.xc.x", ("d.", "e.")),
    ],
)
def test_step_dpo_compares_the_turns_in_which_a_pair_parts_and_no_other(
    won: tuple[str, ...], lost: tuple[str, ...], common: str, turns: tuple[str, str]
) -> None:
    parted = parting([encoded(*won)], [encoded(*lost)])
    assert parted is not None
    for piece, turn in zip(parted, turns, strict=True):
        assert text_of(piece) == common + turn and text_of(piece, piece.action_mask) == turn
        assert piece.step_start.sum() == 1 and piece.step_start[len(common)]
        assert (piece.imitate == piece.action_mask).all() and not piece.reward[: len(common)].any()


def test_what_the_environment_says_parts_no_pair_and_nor_does_an_end() -> None:
    same = encoded("ab", "c")
    assert parting([same], [same]) is None
    assert parting([encoded("ab", "c", prompt="o")], [encoded("ab", "d", prompt="p")]) is None
    assert parting([encoded("ab", "c", observation="x")], [encoded("ab", "d", observation="y")]) is None
    assert parting([encoded("ab")], [encoded("ab", "c")]) is None
    later = parting([same, encoded("e")], [same, encoded("f")])  # of those in pieces, the first piece that differs
    assert later is not None and text_of(later[0]) == "oe."


def test_step_dpo_trains_on_pairs_that_part_and_says_where_none_does(start: Path, tmp_path: Path) -> None:
    data = rollouts_of("step-dpo")
    run = a_new_run(data, TrainConfig(method="step-dpo", model=str(start)), tmp_path / "run")
    for example in run.rows.examples:
        assert all(piece.step_start.sum() == 1 for piece in example.pieces)
    unlike = [
        dataclasses.replace(play, steps=(dataclasses.replace(play.steps[0], observation=str(at)), *play.steps[1:]))
        for at, play in enumerate(data)
    ]
    with pytest.raises(DataError, match="none parts by what its agents said"):
        a_new_run(unlike, TrainConfig(method="step-dpo", model=str(start)), tmp_path / "other")
