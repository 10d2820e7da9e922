"""Imitation: SFT of every trajectory, and rejection sampling, which is SFT of the won ones."""

from __future__ import annotations

from collections.abc import Sequence

from oreo.training.batches import Batch
from oreo.training.losses import nll_loss
from oreo.training.methods.spec import OF_IMITATION, LossOutcome, MethodSpec, Update
from oreo.training.recipe import Setting
from oreo.training.rows import Example, RowKind


def imitation(update: Update, batch: Batch, examples: Sequence[Example]) -> LossOutcome:
    """Negative log-likelihood. Turns that are not to be imitated are state like any observation."""
    log_prob, _, _ = update.policy(batch.input_ids, batch.imitate, packing=batch.packing)
    return LossOutcome(*nll_loss(log_prob, batch.imitate))


def tokens(example: Example) -> int:
    """Imitation's mean runs over tokens."""
    return sum(int(piece.imitate.sum()) for piece in example.pieces)


_APPENDIX = "paper, appendix: table of hyper-parameters, ALFWorld"
SFT = MethodSpec(
    name="sft",
    about="imitates every trajectory",
    loss=imitation,
    rows=RowKind.TURNS,
    weight=tokens,
    reference=False,
    fields=OF_IMITATION,
    defaults={"lr": Setting(2e-5, _APPENDIX), "epochs": Setting(2, _APPENDIX)},
)
REJECTION = MethodSpec(
    name="rejection",
    about="imitates the won trajectories",
    loss=imitation,
    rows=RowKind.TURNS,
    won_only=True,
    weight=tokens,
    reference=False,
    fields=OF_IMITATION,
    defaults={"lr": Setting(2e-5, _APPENDIX), "epochs": Setting(1, _APPENDIX)},
)
