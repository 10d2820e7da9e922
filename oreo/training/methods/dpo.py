"""DPO (arXiv 2305.18290): prefers the won to the lost trajectory of the same game; step-DPO (arXiv 2406.18629), turns.

Step-DPO's authors find the first wrong step of a solution, and correct it. Here the two turns are those by which a won
and a lost episode part that were the same until then, which is where the outcome was decided as far as anybody can see
when `oreo collect --branch` has played on from one state; of episodes that happen to begin alike it is a guess.
"""

from __future__ import annotations

from collections.abc import Sequence

from oreo.training.batches import Batch
from oreo.training.methods.log_ratios import trajectory_log_ratios
from oreo.training.methods.spec import LossOutcome, MethodSpec, Update, given
from oreo.training.preferences import dpo_loss
from oreo.training.recipe import Setting
from oreo.training.rows import Example, RowKind


def dpo(update: Update, batch: Batch, examples: Sequence[Example]) -> LossOutcome:
    """A row is a pair: the won trajectory, or turn, then the lost one."""
    log_ratios = trajectory_log_ratios(update, batch, examples).view(-1, 2)
    return LossOutcome(*dpo_loss(log_ratios[:, 0], log_ratios[:, 1], beta=given(update.config.beta)))


_AS_DPO = "as dpo"
_APPENDIX = "paper, appendix: table of hyper-parameters, ALFWorld"
DPO = MethodSpec(
    name="dpo",
    about="prefers the won to the lost trajectory of the same game",
    loss=dpo,
    rows=RowKind.PAIRS,
    fields=("beta",),
    defaults={
        "lr": Setting(5e-7, _APPENDIX),
        "epochs": Setting(1, _APPENDIX),
        "beta": Setting(0.1, _APPENDIX),
        "pairs_per_game": Setting(5, _APPENDIX),
    },
)
STEP_DPO = MethodSpec(
    name="step-dpo",
    about="prefers, where a won and a lost episode part, the turn of the won one",
    loss=dpo,
    rows=RowKind.STEP_PAIRS,
    fields=("beta",),
    defaults={
        "lr": Setting(5e-7, _AS_DPO),
        "epochs": Setting(1, _AS_DPO),
        "beta": Setting(0.1, _AS_DPO),
        "pairs_per_game": Setting(5, _AS_DPO),
    },
)
