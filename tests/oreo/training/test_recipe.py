"""oreo.training.recipe and oreo/training/recipes: the paper's settings, where they come from, and what wins over
what."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from helpers import small_models
from oreo.errors import UsageError
from oreo.training.config import TrainConfig
from oreo.training.recipe import Recipe, load_recipe, recipe_names

PUBLISHED = {
    # method, learning rate, epochs, β, pairs, epochs of the released code (arXiv 2412.16145, appendix)
    "sft-maths": ("sft", 2e-5, 3, None, None, None),
    "sft-alfworld": ("sft", 2e-5, 2, None, None, None),
    "rejection-maths": ("rejection", 5e-6, 1, None, None, None),
    "rejection-alfworld": ("rejection", 2e-5, 1, None, None, None),
    "dpo-maths-1.5b": ("dpo", 5e-7, 1, 0.1, 6, None),
    "dpo-maths-7b": ("dpo", 5e-7, 1, 0.1, 10, None),
    "dpo-alfworld": ("dpo", 5e-7, 1, 0.1, 5, None),
    "kto-maths-1.5b": ("kto", 5e-8, 1, None, None, None),
    "kto-maths-7b": ("kto", 1e-7, 2, None, None, None),
    "oreo-maths-1.5b": ("oreo", 5e-6, 1, 0.03, None, None),
    "oreo-maths-7b": ("oreo", 5e-6, 2, 0.03, None, None),
    "oreo-alfworld": ("oreo", 5e-6, 3, 0.03, None, 5),
}


def recipes() -> list[Recipe]:
    """Those of the paper."""
    return [load_recipe(name) for name in recipe_names() if load_recipe(name).paper]


def test_recipes_are_the_papers_table() -> None:
    assert [recipe.name for recipe in recipes()] == sorted(PUBLISHED)
    for recipe in recipes():
        method, lr, epochs, beta, pairs, code = PUBLISHED[recipe.name]
        given = {name: setting.value for name, setting in recipe.train.items()}
        assert (given["method"], given["lr"], given["epochs"]) == (method, lr, epochs), recipe.name
        assert (given.get("beta"), given.get("pairs_per_game")) == (beta, pairs), recipe.name
        assert recipe.train["epochs"].code == code
        assert (given["batch_size"], given["warmup"], given["adam_betas"]) == (128, 0.03, [0.9, 0.95])
        assert (given["max_grad_norm"], given["bf16"]) == (1.0, True)
        assert ("reward" in given) == ("alpha" in given) == ("value_lr" in given) == (method == "oreo")


def test_only_the_value_of_7b_is_an_adapter_and_a_whole_one_is_a_matter_of_three_settings() -> None:
    for name in (recipe.name for recipe in recipes()):
        config = TrainConfig.of(recipe=name)
        filled_in = (config.lora_r, config.lora_alpha, config.lora_models, config.value_lr)
        value_lr = 5e-6 if config.method == "oreo" else None
        assert filled_in == ((64, 64, "value", 1e-4) if name == "oreo-maths-7b" else (0, None, "both", value_lr))
    whole = TrainConfig.of(recipe="oreo-maths-7b", lora_r=0, lora_models="both", value_lr=5e-6)
    assert (whole.lora_r, whole.lora_alpha, whole.value_lr) == (0, None, 5e-6)


def test_every_recipe_makes_a_config_and_every_value_has_a_source() -> None:
    for recipe in recipes():
        config = TrainConfig.of(recipe=recipe.name)
        assert config.recipe == recipe.name and config.method == recipe.train["method"].value
        for name, setting in {**recipe.train, **recipe.collect}.items():
            assert setting.source, f"{recipe.name}: {name}"
        assert recipe.about and recipe.start and recipe.results
        assert TrainConfig(**config.to_dict()) == config


def test_defaults_for_alfworld_are_those_of_its_recipes() -> None:
    """But for what the paper sets for GPUs, and the reward: whatever is stored is its reward in ALFWorld."""
    for name in recipe_names():
        if name.endswith("-alfworld"):
            config = TrainConfig.of(recipe=name)
            plain = TrainConfig(method=config.method)
            assert dataclasses.replace(config, recipe=None, bf16=False, reward="stored") == plain


def test_what_is_said_explicitly_wins_over_the_recipe_and_the_recipe_over_defaults() -> None:
    config = TrainConfig.of(recipe="oreo-maths-7b", lr=1e-3, batch_size=None)
    assert (config.lr, config.epochs, config.batch_size, config.weight_decay) == (1e-3, 2, 128, 0.0)
    levels = [TrainConfig.of(recipe="oreo-maths-7b", level=level).alpha for level in ("token", "step", "response")]
    assert levels == [0.01, 0.1, 0.3] and TrainConfig.of(recipe="oreo-maths-7b", level="step", alpha=0.5).alpha == 0.5


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(recipe="oreo-alfwrld"), r"unknown recipe 'oreo-alfwrld'; choose .* \(did you mean 'oreo-alfworld'\?\)"),
        (dict(recipe="oreo-alfworld", method="dpo"), "recipe oreo-alfworld is for method 'oreo', not 'dpo'"),
        (dict(recipe="oreo-alfworld", level="turn"), "token, step, response"),
        (dict(recipe="dpo-alfworld", value_lambda=0.5), "value_lambda means nothing to method 'dpo'"),
    ],
)
def test_a_recipe_that_does_not_fit_gives_one_clear_line(fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TrainConfig.of(**fields)


def test_a_run_by_a_recipe_records_its_name_and_its_values(tmp_path: Path) -> None:
    from oreo.training.trainer import train

    model = small_models.make_model(tmp_path / "model")
    result = train(small_models.episodes(), recipe="kto-maths-7b", model=model, output=tmp_path / "run", bf16=False)
    stored = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (stored["recipe"], stored["method"], stored["lr"], stored["epochs"]) == ("kto-maths-7b", "kto", 1e-7, 2)
    assert (stored["bf16"], result.steps) == (False, 2)
