"""What a training method is: a record of what it learns from, which settings it knows, and its loss.

The loop that all methods share is oreo.training.trainer; one file of this folder holds one method, or two that share a
loss. B sequences, T positions (padded on the right), N rows of a micro-batch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from oreo.errors import UsageError
from oreo.training.recipe import Setting
from oreo.training.rows import OF_PAIRS, Example, RowKind

if TYPE_CHECKING:
    from torch import Tensor

    from oreo.models.scorers import Policy
    from oreo.training.batches import Batch
    from oreo.training.config import TrainConfig

COMMON = {
    "epochs": Setting(1, "the paper's rejection sampling, DPO and KTO"),
    "lr": Setting(5e-6, "the paper's OREO"),
    "value_lr": Setting(5e-6, "the paper's OREO"),
    "beta": Setting(0.1, "arXiv 2305.18290 (DPO)"),
    "value_lambda": Setting(1.0, "the paper's OREO"),
    "policy_lambda": Setting(1.0, "the paper's OREO"),
    "pairs_per_game": Setting(5, "the paper's DPO, ALFWorld"),
}
"""Defaults of what a method knows and gives no number for."""
OF_IMITATION = ("imitate", "imitate_refused")
"""The fields of methods that imitate turns."""
_WITH_VALUE = ("value_model", "value_warmup_epochs", "value_lr", "lora_models")


@dataclass(frozen=True)
class Update:
    """What all micro-batches of one update share."""

    config: TrainConfig
    policy: Any
    """Called as `oreo.models.scorers.Policy`."""
    value: Any = None
    """Called as `oreo.models.scorers.Value`; None for methods without one."""
    reference: Policy | None = None
    """A frozen copy of the starting policy; None for methods without one."""
    value_only: bool = False
    """Whether only the value is trained."""
    max_length: int | None = None
    """The longest sequence that models take, in tokens."""
    prepared: Any = None
    """What the method's `prepare` made of the whole batch."""
    surveyed: Any = None
    """What the method's `survey` made of all the data."""


class LossOutcome(NamedTuple):
    """Of one micro-batch. Every metric is a mean over its rows, so that those of a batch are weighted means."""

    loss: Tensor
    metrics: dict[str, Tensor]
    values: Tensor | None = None
    """[N, 2] V at the first and the middle action of each trajectory, where there is a value."""


Loss: TypeAlias = "Callable[[Update, Batch, Sequence[Example]], LossOutcome]"
Total: TypeAlias = "Callable[[Sequence[Example], Callable[[Batch, Sequence[Example]], Tensor]], Tensor]"
"""total(examples, measure): the sum of `measure(batch, rows)`, a scalar, over all micro-batches of these examples and
all processes, without gradient."""


def given(number: float | None) -> float:
    """A setting that the method knows and that has therefore been filled in."""
    assert number is not None
    return number


def returns_of(examples: Sequence[Example]) -> Tensor:
    """[N] float64 R, the undiscounted sum of the rewards of each row's first trajectory."""
    import torch

    rewards = [[piece.reward[piece.action_mask] for piece in example.trajectories[0]] for example in examples]
    return torch.tensor([float(sum(part.sum() for part in parts)) for parts in rewards], dtype=torch.float64)


def one_a_row(example: Example) -> int:
    """Weight of a row where the mean of a batch runs over rows."""
    return 1


@dataclass(frozen=True)
class MethodSpec:
    """A training method. `oreo.train` takes one as `method`; in a file of yours it is `path/to/file.py:NAME`.

    MethodSpec("weighted", loss=weighted, reference=False, defaults={"lr": Setting(2e-5, "as sft")})
    """

    name: str
    """What logs and config.json call it."""
    loss: Loss
    """Loss of one micro-batch: of the update, the padded micro-batch [B, T] (the sequences of its rows one after the
    other), and its rows. A mean over its rows, each counting as `weight` says."""
    about: str = ""
    """One sentence, and where it is from."""
    rows: RowKind = RowKind.TRAJECTORIES
    """What one row of the data is."""
    won_only: bool = False
    """Whether lost trajectories are left out."""
    needs_reward: bool = False
    """Whether there is nothing to learn where no trajectory has a reward other than 0."""
    fields: tuple[str, ...] = ()
    """The fields of `TrainConfig` it knows beside those that all know. Given to other methods, they are refused."""
    defaults: Mapping[str, Setting] = field(default_factory=dict)
    """Its numbers for fields that are None until a method fills them in, by name, each with its source. A value may
    depend on the level: {"token": 0.01, "step": 0.1, "response": 0.3}."""
    fixed: Mapping[str, str] = field(default_factory=dict)
    """Fields that may have no other value than their default, and the reason, for the refusal."""
    reference: bool = True
    """Whether it compares the policy with a frozen copy of the starting one."""
    value: bool = False
    """Whether it trains a value model beside the policy."""
    weight: Callable[[Example], int] = one_a_row
    """How much a row counts in the batch's mean."""
    prepare: Callable[[Update, Sequence[Example], Total], Any] | None = None
    """What it has to know of the whole batch before the first loss; it becomes `Update.prepared`."""
    survey: Callable[[TrainConfig, Sequence[Example]], Any] | None = None
    """What it has to know of all rows before the first update; it becomes `Update.surveyed`."""

    @classmethod
    def of_loss(cls, loss: Loss) -> MethodSpec:
        """A bare loss function as a method: all trajectories are rows, there is a reference and no value, and the
        settings `reward`, `beta` and `balance` are known."""
        name = getattr(loss, "__name__", type(loss).__name__)
        return cls(name, loss, about=(loss.__doc__ or "").strip().split("\n")[0], fields=("beta", "reward"))

    def knows(self, name: str) -> bool:
        """Whether a field of `TrainConfig` that only some methods know means anything to this one."""
        return (
            name in self.fields
            or name in _WITH_VALUE
            and self.value
            or name == "pairs_per_game"
            and self.rows in OF_PAIRS
            or name == "balance"
            and not self.won_only
        )

    def default(self, name: str, level: str) -> Any:
        """What a field is where nothing is given; None where the method does not know it."""
        setting = self.defaults.get(name, COMMON.get(name) if name in ("epochs", "lr") or self.knows(name) else None)
        if setting is None:
            return None
        return setting.value.get(level) if isinstance(setting.value, dict) else setting.value

    def outcome(self, update: Update, batch: Batch, examples: Sequence[Example]) -> LossOutcome:
        """Its loss of a micro-batch, and nothing else than a loss.

        Raises:
            UsageError: the function returned something else.
        """
        import torch

        result: Any = self.loss(update, batch, examples)
        if isinstance(result, tuple) and 2 <= len(result) <= 3:
            outcome = LossOutcome(*result)
            if isinstance(outcome.loss, torch.Tensor) and outcome.loss.ndim == 0 and isinstance(outcome.metrics, dict):
                return outcome
        raise UsageError(
            f"the loss of method {self.name!r} returned a {type(result).__name__}; expected "
            "LossOutcome(loss, metrics), a scalar tensor and a dict of detached scalars"
        )
