"""oreo.training.methods.rwr: between imitation of all and of the best, by how much returns weigh."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from helpers.small_models import rollouts
from helpers.training import a_run, gradient
from oreo.errors import UsageError
from oreo.training.methods.rwr import return_weights

torch.set_num_threads(1)


def test_weights_are_exponentials_of_returns_and_one_on_average_over_the_data() -> None:
    returns = torch.tensor([0.0, 1.0, 0.25, -2.0], dtype=torch.float64)
    by_hand = torch.tensor([math.exp(number / 0.3) for number in returns.tolist()], dtype=torch.float64)
    log_mean = math.log(by_hand.mean())
    torch.testing.assert_close(return_weights(returns, log_mean, beta=0.3), by_hand / by_hand.mean())
    assert return_weights(returns * 1e4, 1e4 / 0.3 - math.log(4), beta=0.3).isfinite().all()
    with pytest.raises(UsageError, match="beta is 0"):
        return_weights(returns, log_mean, beta=0.0)


@pytest.mark.parametrize("micro", [80, 100_000])
def test_a_low_temperature_is_rejection_sampling_and_a_high_one_imitates_all(
    micro: int, start: Path, tmp_path: Path
) -> None:
    data = rollouts()
    tokens = {"sft": 0, "rejection": 0}
    for name in tokens:
        run = a_run(data, start, tmp_path / name, 1000, method=name)
        tokens[name] = sum(int(piece.imitate.sum()) for row in run.rows.examples for piece in row.pieces)
    won = sum(play.won for play in data)
    for beta, method in ((1e6, "sft"), (0.02, "rejection")):
        # The mean weight is 1, so the won ones share that of all; means run over the tokens of all.
        factor = 1.0 if method == "sft" else len(data) / won * tokens["rejection"] / tokens["sft"]
        runs = [
            a_run(data, start, tmp_path / f"{method}-{beta}-{name}", micro, method=name, **settings)
            for name, settings in (("rwr", {"beta": beta}), (method, {}))
        ]
        for run in runs:
            run.backward(range(len(run.rows.examples)))
        weighted, imitated = map(gradient, runs)
        for key, tensor in imitated.items():
            torch.testing.assert_close(weighted[key], factor * tensor, rtol=1e-3, atol=1e-6)
