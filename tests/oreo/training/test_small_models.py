"""oreo.training.small_models: settings that a small model brings along, and doubts about a run that is done."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import small_models
from oreo.training.config import TrainConfig
from oreo.training.recipe import load_recipe, recipe_names
from oreo.training.small_models import SMALL, doubt, small_recipe
from oreo.training.trainer import train

torch.set_num_threads(1)
SETTINGS = ("batch_size", "lr", "value_lr", "epochs", "value_warmup_epochs")


@pytest.mark.parametrize("name", [name for name in recipe_names() if name.startswith("small-")])
def test_every_recipe_for_small_models_makes_a_config_and_says_where_its_numbers_are_from(name: str) -> None:
    recipe = load_recipe(name)
    assert not recipe.paper and TrainConfig.of(recipe=name).method == name.removeprefix("small-")
    assert all(setting.source for setting in recipe.train.values())


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, "small-oreo"),
        (dict(model="tiny-math", method="oreo", beta=0.1, seed=3), "small-oreo"),
        (dict(method="rejection"), "small-rejection"),
        (dict(method="sft"), "small-sft"),
        (dict(method="dpo"), None),
        (dict(lr=1e-4), None),
        (dict(batch_size=8), None),
        (dict(value_warmup_epochs=0), None),
        (dict(recipe="oreo-alfworld"), None),
        (dict(model="someone/model-on-the-hub"), None),
    ],
)
def test_it_is_taken_where_the_model_is_small_and_none_of_its_settings_is_given(
    fields: dict[str, Any], expected: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("oreo.models.loading.check_name", lambda *_: None)  # the Hub has what is named
    assert small_recipe(fields) == small_recipe(fields, {"recipe": expected}) == expected
    assert small_recipe(fields, {"recipe": None}) is None


def test_it_is_said_once_recorded_and_kept_when_resumed_but_not_put_upon_a_run_begun_without(tmp_path: Path) -> None:
    def stop(line: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    start = small_models.make_model(tmp_path / "start")
    for name, given in (("own", {}), ("papers", dict(recipe="oreo-alfworld", bf16=False, reward="stored"))):
        output = tmp_path / name
        with warnings.catch_warnings(record=True) as caught, pytest.raises(KeyboardInterrupt):
            warnings.simplefilter("always")
            train(small_models.episodes(), model=start, output=output, on_step=stop, **given)
        told = [str(warning.message) for warning in caught if "--recipe small-oreo" in str(warning.message)]
        assert len(told) == (name == "own")
        stored = json.loads((output / "config.json").read_text())
        assert stored["lr"] == (3e-4 if name == "own" else 5e-6)
        if name == "papers":  # as a run of before there was a recipe for small models
            (output / "config.json").write_text(json.dumps(stored | {"recipe": None}))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert (
                train(small_models.episodes(), model=start, output=output, resume=True).steps == stored["run"]["steps"]
            )


@pytest.mark.parametrize(
    ("lr", "weights", "updates", "kl", "expected"),
    [
        (5e-6, 10**6, 3, 0.0, "3 updates at a learning rate of 5e-06 can hardly have changed the policy"),
        (5e-6, SMALL, 3, 0.0, "3 updates"),
        (5e-8, 7 * 10**9, 500, 0.0, None),
        (3e-4, 10**6, 39, 0.02, None),
        (1e-2, 10**6, 1, 0.1, None),
        (1e-2, 10**6, 50, 2.5, r"run away .*KL 2.5 nats a token"),
        (5e-6, 10**6, 0, 0.0, None),
    ],
)
def test_a_run_that_cannot_matter_or_ran_away_is_doubted_in_one_line(
    lr: float, weights: int, updates: int, kl: float, expected: str | None
) -> None:
    message = doubt(TrainConfig(lr=lr), weights, updates, {"kl": kl})
    if expected is None:
        assert message is None
    else:
        assert message is not None and "\n" not in message
        with pytest.raises(UserWarning, match=expected):
            raise UserWarning(message)
