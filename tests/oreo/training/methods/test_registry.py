"""oreo.training.methods.registry: methods by name, by file and in Python."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from helpers import small_models
from oreo.errors import UsageError
from oreo.training.config import OF_SOME_METHODS, TrainConfig, field_names
from oreo.training.methods.registry import METHODS, built_in, knowing
from oreo.training.rows import RowKind
from oreo.training.trainer import train

torch.set_num_threads(1)


IPO = """
from oreo.training.methods.log_ratios import trajectory_log_ratios
from oreo.training.methods.spec import MethodSpec, LossOutcome
from oreo.training.recipe import Setting
from oreo.training.rows import RowKind


def ipo(update, batch, examples):
    won, lost = trajectory_log_ratios(update, batch, examples).view(-1, 2).unbind(1)
    loss = (won - lost - 1 / (2 * update.config.beta)).square().mean()
    return LossOutcome(loss, {"ipo_loss": loss.detach()})


IPO = MethodSpec("my-ipo", ipo, rows=RowKind.PAIRS, fields=("beta",), defaults={"lr": Setting(1e-6, "a guess")})
NOT_A_METHOD = 3
SFT = MethodSpec("sft", ipo)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "own_method.py"
    path.write_text(IPO)
    return path


def with_games() -> list[Any]:
    return [
        dataclasses.replace(episode, game=f"game {index % 4}") for index, episode in enumerate(small_models.episodes())
    ]


def test_a_method_stands_in_the_registry_under_its_own_name_and_every_number_of_it_has_a_source() -> None:
    for name in METHODS:
        spec = built_in(name)
        assert spec.name == name and spec.about and {"lr", "epochs"} <= set(spec.defaults)
        for field, setting in spec.defaults.items():
            assert field in field_names() and setting.source, (name, field)
        assert set(spec.fields) <= set(OF_SOME_METHODS)


def test_which_method_knows_which_field() -> None:
    both, weighted = ["oreo", "dqo"], ["awr", "iql"]
    with_value = both + weighted
    of_returns = ["rwr", "oapl", "grpo", "tbrm"]
    expected = {
        **dict.fromkeys(("value_model", "value_warmup_epochs", "value_lr", "lora_models"), with_value),
        **dict.fromkeys(("value_lambda", "policy_lambda", "gamma"), with_value),
        "reward": with_value + of_returns,
        "alpha": both,
        "level": ["oreo"],
        "beta": [*both, "dpo", "step-dpo", "kto", *weighted, *of_returns],
        "max_weight": weighted,
        "expectile": ["iql"],
        "clip": ["grpo"],
        "imitate_refused": ["rejection", "sft", "rwr", *weighted],
        "imitate": ["rejection", "sft", "rwr", *weighted],
        "desirable_weight": ["kto"],
        "undesirable_weight": ["kto"],
        "pairs_per_game": ["dpo", "step-dpo"],
        "balance": [*both, "dpo", "step-dpo", "kto", "sft", *weighted, *of_returns],
    }
    known = {name: [one for one in METHODS if built_in(one).knows(name)] for name in OF_SOME_METHODS}
    assert {name: sorted(methods) for name, methods in known.items()} == {
        name: sorted(methods) for name, methods in expected.items()
    }
    assert all(knowing(name) == methods for name, methods in known.items())


def test_a_new_method_is_one_file_and_one_line_and_defaults_refusals_and_messages_follow(
    file: Path, monkeypatch: Any
) -> None:
    monkeypatch.syspath_prepend(str(file.parent))
    monkeypatch.setitem(METHODS, "my-ipo", "own_method:IPO")
    config = TrainConfig(method="my-ipo")
    assert (config.lr, config.epochs, config.beta, config.pairs_per_game) == (1e-6, 1, 0.1, 5)
    assert (config.alpha, config.value_lr) == (None, None)
    with pytest.raises(UsageError, match="value_lr means nothing to method 'my-ipo'; leave it out"):
        TrainConfig(method="my-ipo", value_lr=1.0)
    with pytest.raises(UsageError, match=r"pairs_per_game means nothing to method 'kto'.*it is for dpo.*my-ipo\)"):
        TrainConfig(method="kto", pairs_per_game=3)
    with pytest.raises(UsageError, match="beta is 0"):
        TrainConfig(method="my-ipo", beta=0.0)
    with pytest.raises(UsageError, match=r"'my-ipoo' is unknown; choose from .*my-ipo.* \(did you mean 'my-ipo'\?\)"):
        TrainConfig(method="my-ipoo")


def test_a_method_of_a_file_trains_says_so_in_config_json_and_is_resumed(
    file: Path, start: Path, tmp_path: Path
) -> None:
    def stop(line: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    settings: dict[str, Any] = dict(method=f"{file}:IPO", model=start, batch_size=3, lr=1e-2, epochs=1)
    whole = train(with_games(), output=tmp_path / "whole", **settings)
    assert whole.metrics["phase"] == "my-ipo" and "ipo_loss" in whole.metrics and whole.value is None
    output = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(with_games(), output=output, on_step=stop, **settings)
    assert json.loads((output / "config.json").read_text())["method"] == f"{file}:IPO"
    with pytest.raises(UsageError, match=r"method: .*own_method.py:IPO' then, 'dpo' now"):
        train(with_games(), output=output, resume=True, **settings | dict(method="dpo"))
    resumed = train(with_games(), output=output, resume=True, **settings)
    first, second = (load_file(run.policy / "model.safetensors") for run in (whole, resumed))
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_what_is_no_method_is_refused_in_one_line(file: Path, start: Path, tmp_path: Path) -> None:
    for method, message in (
        (f"{file}:NOT_A_METHOD", "is no training method; expected a MethodSpec or a function"),
        (f"{file}:IPOO", "no 'IPOO' in it"),
        (f"{tmp_path / 'none.py'}:IPO", "no such file"),
        (f"{file}:SFT", "the name 'sft' is taken"),
        (dataclasses.replace(built_in("sft"), won_only=True), "the name 'sft' is taken"),
        (3, "method is 3"),
    ):
        with pytest.raises(UsageError, match=message) as error:
            train(small_models.episodes(), method=method, model=start, output=tmp_path / "run")
        assert "\n" not in str(error.value)

    def pair(update: Any, batch: Any, examples: Any) -> Any:
        return 3.0

    with pytest.raises(UsageError, match="loss of method 'pair' returned a float; expected LossOutcome"):
        train(small_models.episodes(), method=pair, model=start, output=tmp_path / "run")


def test_rows_are_turns_trajectories_or_pairs() -> None:
    kinds = {name: kind for name in METHODS if (kind := built_in(name).rows) is not RowKind.TRAJECTORIES}
    assert kinds == {
        "sft": RowKind.TURNS,
        "rejection": RowKind.TURNS,
        "dpo": RowKind.PAIRS,
        "step-dpo": RowKind.STEP_PAIRS,
    }
