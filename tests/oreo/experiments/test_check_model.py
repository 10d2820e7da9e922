"""`oreo check-model`: models of several kinds are the same in acting and in training, and a broken one is found."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import small_models
from helpers.commands import run_oreo
from oreo.errors import DataError
from oreo.experiments.check_model import ModelCheck, check_model
from oreo.models.scorers import Policy

ERRAND = f"{Path(__file__).parents[2] / 'helpers' / 'errand.py'}:Errand"
PLAYED: dict[str, Any] = dict(env=ERRAND, episodes=3, max_steps=5, max_new_tokens=8)


def check(folder: Path, **settings: Any) -> ModelCheck:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return check_model(str(folder), **{**PLAYED, **settings})


@pytest.mark.parametrize("kind", ["llama", "gpt2", "gemma2"])
def test_small_models_of_several_kinds_agree(kind: str, tmp_path: Path) -> None:
    result = check(small_models.make_model(tmp_path / "model", kind))
    assert result.agrees and max(way.largest for way in result.ways) < 1e-3, result
    assert result.drifted > 0 and {"alone", "padded"} <= {way.name for way in result.ways}
    assert any("window" in way.name for way in result.ways), result.left_out


def test_a_model_that_is_trained_otherwise_than_it_acts_is_found(tmp_path: Path, monkeypatch: Any) -> None:
    folder = small_models.make_model(tmp_path / "model")
    states = Policy.states

    def shifted(
        self: Any, ids: torch.Tensor, mask: torch.Tensor, attention_mask: Any = None, packing: Any = None
    ) -> Any:
        return states(self, ids.roll(1, 1), mask, attention_mask, packing)

    monkeypatch.setattr(Policy, "states", shifted)
    result = check(folder)
    assert not result.agrees


def test_the_command_says_it_and_ends_with_1_where_it_does_not_agree(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    folder = small_models.make_model(tmp_path / "model")
    command = ["check-model", folder, "--env", ERRAND, "--episodes", 2, "--max-steps", 2, "--json"]
    assert run_oreo(*command) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["agrees"] and told["turns"] >= 2
    assert run_oreo(*command, "--tolerance", 0) == 1


def test_a_model_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(DataError):
        check(tmp_path / "nothing")
