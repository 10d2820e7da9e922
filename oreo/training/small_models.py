"""What is right for the model at hand: the paper's settings are for billions of weights, and teach a tiny model
nothing, or harm it.

A small model brings its own recipe along, where none is named and none of its settings is given. At the end of a run,
one line says when so little, or so much, happened that the result cannot be what was wanted.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from oreo.models.loading import parameter_count
from oreo.training.config import TrainConfig
from oreo.training.recipe import load_recipe, recipe_names
from oreo.training.schedule import schedule

SMALL = 20_000_000
"""Weights. The smallest models that papers train by these methods have 25 times as many."""
_MOVES_LITTLE = 1e-3
"""Sum of the learning rates of all updates, which is about the most by which Adam can have moved a weight. Weights of
small models are about 0.02 to 0.1."""
_FEW_UPDATES = 10
"""For larger models: the paper's runs have hundreds."""
_FAR_FROM_START = 0.5
"""KL to the starting policy in nats a token. Runs that improved a model stayed below 0.1."""


def small_recipe(fields: Mapping[str, Any], begun: Mapping[str, Any] | None = None) -> str | None:
    """The recipe that a small starting model brings along, None where settings are given or it is large.

    Args:
        fields: of `TrainConfig`, as far as they are given.
        begun: the settings that what is to go on was begun with; it goes on with these. None: it is new.
    """
    name = f"small-{fields.get('method') or 'oreo'}"
    if fields.get("recipe") is not None or name not in recipe_names():
        return None
    if any(fields.get(key) is not None for key in load_recipe(name).train if key != "method"):
        return None
    if begun is not None and begun.get("recipe") != name:
        return None
    count = parameter_count(fields.get("model", "tiny"))
    return name if count is not None and count < SMALL else None


def describe(name: str, model: str) -> str:
    """One line about a recipe that was taken."""
    settings = {key: setting.value for key, setting in load_recipe(name).train.items() if key != "method"}
    listed = ", ".join(f"{key} {value}" for key, value in settings.items())
    return (
        f"{model} is small, so the settings are those of --recipe {name} ({listed}) and not the paper's, which are for "
        "billions of weights; giving any of these turns the others off, too"
    )


def doubt(config: TrainConfig, weights: int, updates: int, metrics: Mapping[str, Any]) -> str | None:
    """Why the policy of a finished run is hardly what was wanted; None where there is nothing to say.

    Args:
        weights: how many the policy has.
        updates: of the policy.
        metrics: the last line of the log.
    """
    if not updates:
        return None
    moved = sum(float(config.lr or 0.0) * schedule(step, updates, config.warmup) for step in range(updates))
    if moved < _MOVES_LITTLE and (weights < SMALL or updates < _FEW_UPDATES):
        return (
            f"{updates} updates at a learning rate of {config.lr:g} can hardly have changed the policy (no weight by "
            f"much more than {moved:.1g}): more data or epochs, a smaller batch_size or a higher lr would"
        )
    if float(metrics.get("kl") or 0.0) > _FAR_FROM_START:
        return (
            f"the policy has run away from the model it started from (KL {metrics['kl']:.2g} nats a token): a lower "
            "lr, more value_warmup_epochs or a higher beta would hold it; compare both by oreo eval before using it"
        )
    return None
