"""oreo.training.config: what a run may be set to, and how settings of before are read."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from oreo.errors import UsageError
from oreo.training.config import TrainConfig
from oreo.training.methods.registry import METHODS
from oreo.training.trainer import train

torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(method="dpp"), "dpo"),
        (dict(level="turn"), "token, step, response"),
        (dict(learning_rate=1.0), "unknown training option 'learning_rate'"),
        (dict(batch_size=0), "batch_size is 0"),
        (dict(lr=math.nan), "lr is nan"),
        (dict(beta=0.0), "beta"),
        (dict(epochs=0), "nothing to train"),
        (dict(method="dpo", beta=0.0), "beta"),
        (dict(value_lambda=1.5), "value_lambda is 1.5; expected a number from 0 to 1"),
        (dict(policy_lambda=-0.5), "policy_lambda is -0.5"),
        (dict(gamma=2.0), "gamma is 2.0"),
        (dict(level="response", policy_lambda=0.9), "nothing to mix"),
        (dict(reward="sucess"), "success"),
        (dict(balance="games"), "game"),
        (dict(method="sft", value_lambda=0.5), "value_lambda means nothing to method 'sft'"),
        (dict(method="dqo", level="step"), "level means nothing to method 'dqo'"),
        (dict(method="dqo", alpha=0.1), "dqo has no KL term"),
        (dict(method="kto", pairs_per_game=5), "pairs_per_game means nothing to method 'kto'"),
        (dict(method="dpo", pairs_per_game=0), "pairs_per_game is 0"),
        (dict(method="rejection", balance="all"), "balance means nothing"),
        (dict(method="sft", alpha=0.5), r"alpha means nothing to method 'sft'; leave it out \(it is for oreo, dqo\)"),
        (dict(method="sft", beta=3.0), "beta means nothing to method 'sft'"),
        (dict(method="rejection", value_lr=1.0), "value_lr means nothing to method 'rejection'"),
        (dict(method="dpo", value_warmup_epochs=1), "value_warmup_epochs means nothing to method 'dpo'"),
        (dict(method="dpo", value_model="tiny"), "value_model means nothing to method 'dpo'"),
        (dict(method="kto", alpha=0.1), "alpha means nothing to method 'kto'"),
        (dict(recipe="dpo-alfworld", alpha=0.1), "alpha means nothing to method 'dpo'"),
        # Types.
        (dict(bf16="no"), "bf16 is 'no'; expected true or false"),
        (dict(packed=1), "packed is 1; expected true or false"),
        (dict(epochs=1.5), "epochs is 1.5; expected a whole number"),
        (dict(batch_size=2.5), "batch_size is 2.5; expected a whole number"),
        (dict(lora_r=True), "lora_r is True; expected a whole number"),
        (dict(seed="x"), "seed is 'x'; expected a whole number"),
        (dict(micro_tokens="4k"), "micro_tokens is '4k'; expected a whole number"),
        (dict(lr="abc"), "lr is 'abc'; expected a finite number"),
        (dict(lr=math.inf), "lr is inf; expected a finite number"),
        (dict(beta=math.inf), "beta is inf; expected a finite number"),
        (dict(weight_decay=False), "weight_decay is False; expected a finite number"),
        (dict(instruction=3), "instruction is 3; expected text"),
        (dict(level=3), "level is 3; expected text"),
        (dict(recipe="oreo-alfworld", level=["token"]), r"level is \['token'\]; expected text"),
        (dict(recipe=3), "recipe is 3; expected text"),
        (dict(trackers=3), "trackers is 3; expected a list, each text"),
        (dict(trackers=["tensorboard", 3]), "expected a list, each text"),
        (dict(adam_betas=0.9), "adam_betas is 0.9; expected a list of 2 numbers"),
        (dict(adam_betas=[0.9, 0.9, 0.9]), "expected a list of 2 numbers"),
        (dict(adam_betas=[0.9, "0.95"]), "expected a list of 2 numbers"),
        # Ranges.
        (dict(adam_betas=[0.9, 1.5]), r"adam_betas is \[0.9, 1.5\]; expected two numbers from 0 to below 1"),
        (dict(warmup=5), "warmup is 5; expected a number from 0 to 1"),
        (dict(seed=-1), "seed is -1; expected a number from 0 to"),
    ],
)
def test_wrong_options_give_one_clear_line(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as error:
        train([], output=tmp_path / "run", **fields)
    assert "\n" not in str(error.value)


def test_defaults_are_the_papers() -> None:
    oreo_, sft, rejection = (TrainConfig(method=method) for method in ("oreo", "sft", "rejection"))
    assert (oreo_.lr, oreo_.value_lr, oreo_.epochs, oreo_.alpha, oreo_.beta) == (5e-6, 5e-6, 3, 0.01, 0.03)
    assert (sft.lr, sft.epochs, rejection.lr, rejection.epochs) == (2e-5, 2, 2e-5, 1)
    assert [TrainConfig(level=level).alpha for level in ("token", "step", "response")] == [0.01, 0.1, 0.3]
    assert (oreo_.batch_size, oreo_.warmup, oreo_.adam_betas, oreo_.max_grad_norm) == (128, 0.03, (0.9, 0.95), 1.0)
    dpo, kto, dqo = (TrainConfig(method=method) for method in ("dpo", "kto", "dqo"))
    assert (dpo.lr, dpo.epochs, dpo.beta, dpo.pairs_per_game) == (5e-7, 1, 0.1, 5)
    assert (kto.lr, kto.epochs, kto.beta, kto.desirable_weight, kto.undesirable_weight) == (5e-8, 1, 0.1, 1.0, 1.0)
    assert (dqo.lr, dqo.epochs, dqo.beta, dqo.alpha, dqo.value_lambda) == (5e-6, 3, 0.03, 0.0, 1.0)
    for config in (dpo, kto, dqo):
        assert TrainConfig(**config.to_dict()) == config
    assert TrainConfig(**oreo_.to_dict()) == oreo_ and not oreo_.differences(json.loads(json.dumps(oreo_.to_dict())))


def test_every_default_fits_its_own_type_and_range_and_numbers_may_be_whole() -> None:
    for method in METHODS:
        assert TrainConfig(**TrainConfig(method=method).to_dict()) == TrainConfig(method=method)
    whole = TrainConfig(lr=1, beta=2, alpha=0, warmup=1, adam_betas=[0, 0.5], trackers="tensorboard")
    assert (whole.lr, whole.adam_betas, whole.trackers) == (1, (0, 0.5), ("tensorboard",))


def test_a_run_stored_with_settings_that_its_method_does_not_know_is_resumed() -> None:
    before = TrainConfig(method="sft").to_dict() | {"value_lr": 5e-6, "alpha": 0.01}
    assert TrainConfig(method="sft").differences(before) == []
    assert TrainConfig(method="oreo").differences(before)[0] == "method: 'sft' then, 'oreo' now"


def test_a_run_begun_before_an_option_existed_is_resumed_with_its_default() -> None:
    new = ("value_lambda", "policy_lambda", "gamma", "balance", "expectile", "clip", "imitate_refused")
    stored = {name: value for name, value in TrainConfig().to_dict().items() if name not in new}
    assert not TrainConfig().differences(stored) and not TrainConfig().differences(stored | {"lambda_": 1.0})
    assert TrainConfig(value_lambda=0.5).differences(stored) == ["value_lambda: 1.0 then, 0.5 now"]


def test_a_run_whose_setting_is_gone_is_not_resumed_with_another_meaning() -> None:
    [difference] = TrainConfig().differences(TrainConfig().to_dict() | {"lambda_": 0.95})
    assert difference.startswith("lambda_: 0.95 then, and there is no such setting now (it counted tokens;")
