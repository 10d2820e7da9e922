"""The metrics of one batch, summed over the micro-batches and the processes that it was cut into."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from oreo.training.methods.spec import LossOutcome
from oreo.training.metrics import TrajectoryValues
from oreo.training.rows import Example


class BatchMetrics:
    """Sums that grow by a micro-batch at a time. Tensors stay on their device until all are in."""

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}
        self._trajectory_values: list[TrajectoryValues] = []

    def add(self, outcome: LossOutcome, examples: Sequence[Example], share: float) -> None:
        """Add what a micro-batch came to.

        Args:
            examples: its rows; none where they count nothing (`oreo.training.batches.MicroBatch.idle`).
            share: its part of what the batch's means run over; 0 where its rows count nothing.
        """
        for name, metric in {"loss": outcome.loss.detach(), **outcome.metrics}.items():
            self._sums[name] = self._sums.get(name, torch.zeros_like(metric)) + metric * share
        if outcome.values is not None and examples:
            for example, (start, middle) in zip(examples, outcome.values.tolist(), strict=True):
                self._trajectory_values.append(TrajectoryValues(start, middle, example.won))

    def over_processes(self, accelerator: Any) -> tuple[dict[str, float], list[TrajectoryValues]]:
        """The batch's metrics by name, and V of each of its trajectories (none without a value model).

        They are those of all processes, and all of them have to ask.
        """
        names = sorted(self._sums)
        means = torch.stack([self._sums[name].float() for name in names])
        trajectory_values = self._trajectory_values
        if accelerator.num_processes > 1:
            from accelerate.utils import gather_object

            means = accelerator.reduce(means, "sum")
            trajectory_values = gather_object(trajectory_values)
        return dict(zip(names, means.tolist(), strict=True)), trajectory_values
