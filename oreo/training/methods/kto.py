"""KTO (arXiv 2402.01306): prefers won trajectories to lost ones at large, by how far each is from a reference point."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from oreo.encoding.turn_format import Encoded
from oreo.training.batches import Batch
from oreo.training.methods.log_ratios import trajectory_log_ratios
from oreo.training.methods.spec import LossOutcome, MethodSpec, Total, Update, given
from oreo.training.preferences import kto_loss, kto_reference_point
from oreo.training.recipe import Setting
from oreo.training.rows import Example


def kto(update: Update, batch: Batch, examples: Sequence[Example]) -> LossOutcome:
    """A row is a trajectory, desirable if won."""
    log_ratios = trajectory_log_ratios(update, batch, examples)
    won = torch.tensor([example.won for example in examples], device=log_ratios.device)
    config = update.config
    return LossOutcome(
        *kto_loss(
            log_ratios,
            won,
            update.prepared,
            beta=given(config.beta),
            desirable_weight=config.desirable_weight,
            undesirable_weight=config.undesirable_weight,
        )
    )


def reference_point(update: Update, examples: Sequence[Example], total: Total) -> Tensor:
    """z of the whole batch, from a pass over its mismatched pairs."""
    pairs = mismatched(examples, update.max_length)
    log_ratios = total(pairs, lambda batch, rows: trajectory_log_ratios(update, batch, rows).sum())
    return kto_reference_point(log_ratios, len(pairs))


def mismatched(examples: Sequence[Example], max_length: int | None) -> list[Example]:
    """Pairs (x_i, y_j) of a prompt and a completion that belongs to another one: one for each row of a batch.

    j is the next row in the batch's order that is of another game, round the corner; where all are of one game, the
    next. x_i is what stands before the first action token of i; y_j everything from the first action token of j on,
    observations included, which are state as ever. Of a trajectory in pieces, each piece y gets x_i before it, so that
    log-ratios are sums over as many turns as those they are compared with. What is more than `max_length` tokens is
    cut, since no reward is at stake: z is a little smaller for it.
    """
    pairs = []
    for index, example in enumerate(examples):
        others = [examples[(index + step) % len(examples)] for step in range(1, len(examples) + 1)]
        other = next((candidate for candidate in others if candidate.name != example.name), others[0])
        prompt = example.pieces[0]
        pieces = tuple(_joined(prompt, piece, max_length) for piece in other.pieces)
        pairs.append(Example((pieces,), other.won, other.name))
    return pairs


def _joined(prompt: Encoded, completion: Encoded, max_length: int | None) -> Encoded:
    before, start = int(prompt.action_mask.argmax()), int(completion.action_mask.argmax())
    return Encoded(
        **{
            name: np.concatenate([getattr(prompt, name)[:before], getattr(completion, name)[start:]])[:max_length]
            for name in vars(prompt)
        }
    )


_APPENDIX = "paper, appendix: table of hyper-parameters, maths 1.5B (it has no KTO for ALFWorld)"
KTO = MethodSpec(
    name="kto",
    about="prefers the won trajectories to the lost ones at large",
    loss=kto,
    fields=("beta", "desirable_weight", "undesirable_weight"),
    prepare=reference_point,
    defaults={
        "lr": Setting(5e-8, _APPENDIX),
        "epochs": Setting(1, _APPENDIX),
        "beta": Setting(0.1, "arXiv 2402.01306, the default of its authors"),
    },
)
