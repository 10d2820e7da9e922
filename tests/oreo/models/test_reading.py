"""oreo.models.reading: what is told of a model that cannot be read, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from helpers import small_models
from oreo.errors import DataError, UsageError
from oreo.models.reading import damage, parameters_in, quiet, reading, torch_dtype


def test_a_dtype_goes_by_its_name_and_a_slip_is_told() -> None:
    assert torch_dtype("bfloat16") is torch.bfloat16
    with pytest.raises(UsageError, match="unknown dtype 'float61'; .*did you mean 'float16'"):
        torch_dtype("float61")


def test_transformers_is_as_loud_afterwards_as_before() -> None:
    from transformers.utils import logging

    before = logging.get_verbosity(), logging.is_progress_bar_enabled()
    with pytest.raises(ValueError), quiet():
        assert not logging.is_progress_bar_enabled()
        raise ValueError
    assert (logging.get_verbosity(), logging.is_progress_bar_enabled()) == before


def test_whatever_a_library_raises_is_one_line_and_our_own_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^cannot load a model from .*: first$"), reading(str(tmp_path)):
        raise RuntimeError("first\nsecond")
    with pytest.raises(
        DataError, match=r"no model 'some/model': neither a folder here nor found on the Hub \(KeyError\)"
    ):
        with reading("some/model"):
            raise KeyError
    with pytest.raises(UsageError, match="^mine$"), reading("some/model"):
        raise UsageError("mine")


def test_a_model_on_the_hub_that_is_only_pickled_is_told_with_how_to_convert_it() -> None:
    words = "some/model has no file named model.safetensors and thus cannot be loaded with `safetensors`."
    with pytest.raises(DataError, match="some/model holds its weights as a pickle.*'some/model'.*save_pretrained"):
        with reading("some/model"):
            raise OSError(words)


def test_a_whole_folder_shows_no_damage(tmp_path: Path) -> None:
    folder = small_models.make_model(tmp_path / "model")
    assert damage(folder) is None
    (folder / "config.json").write_text("[]")
    assert damage(folder) == f"{folder / 'config.json'} is damaged (JSON, but no object)"


def test_numbers_are_counted_where_there_are_safetensors_to_read(tmp_path: Path) -> None:
    assert parameters_in(tmp_path) is None
    (tmp_path / "model.safetensors").write_bytes(b"garbage")
    assert parameters_in(tmp_path) is None
