"""oreo.models.reading: what is told of a model that cannot be read, in one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from helpers import small_models
from oreo.errors import DataError, UsageError
from oreo.models.loading import load_policy, load_value
from oreo.models.reading import damage, parameters_in, quiet, reading, torch_dtype
from oreo.models.saving import digest


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


def test_a_model_without_its_tokenizer_is_told_which_file_to_put_there(tmp_path: Path) -> None:
    model = small_models.make_model(tmp_path / "model")
    (model / "tokenizer.json").unlink()
    with pytest.raises(DataError, match=r"has no tokenizer: none of tokenizer.json, .*a download that stopped"):
        load_policy(model)


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


def half_downloaded(folder: Path, name: str, what: str) -> Path:
    small_models.make_model(folder)
    path = folder / name
    content = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "garbage": b"\x00\xff{" * 400}[what])
    return path


@pytest.mark.parametrize("what", ["empty", "cut", "garbage"])
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"])
def test_a_file_that_is_empty_cut_or_garbage_is_named_with_what_to_do(name: str, what: str, tmp_path: Path) -> None:
    path = half_downloaded(tmp_path / "model", name, what)
    loads = (load_policy, load_value) if name in ("config.json", "model.safetensors") else (load_policy,)
    for load in loads:
        with pytest.raises(DataError, match=f"{name} is (empty|cut or damaged).*; put the whole file there") as error:
            load(path.parent)
        assert str(path) in str(error.value) and "\n" not in str(error.value)


def test_a_shard_that_is_missing_is_named(tmp_path: Path) -> None:
    model, tokenizer = load_policy(small_models.make_model(tmp_path / "model"))
    model.save_pretrained(tmp_path / "shards", max_shard_size="8KB")
    tokenizer.save_pretrained(tmp_path / "shards")
    load_policy(tmp_path / "shards")
    gone = sorted((tmp_path / "shards").glob("model-*.safetensors"))[1]
    gone.unlink()
    with pytest.raises(DataError, match=f"{gone.name} is missing, and model.safetensors.index.json lists it"):
        load_policy(tmp_path / "shards")


def test_pickled_weights_are_refused_with_how_to_convert_them_and_the_advice_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = small_models.make_model(tmp_path / "model")
    before, _ = load_policy(folder)
    torch.save(before.state_dict(), folder / "pytorch_model.bin")
    assert load_policy(folder)  # beside safetensors it is not read
    (folder / "model.safetensors").unlink()
    monkeypatch.setattr(torch, "load", None)  # nothing asks for the pickle
    for load in (load_policy, load_value):
        with pytest.raises(DataError, match="holds pytorch_model.bin as a pickle, which can run code") as error:
            load(folder)
        assert "\n" not in str(error.value)
        assert f"AutoModelForCausalLM.from_pretrained({str(folder)!r}).save_pretrained(FOLDER)" in str(error.value)
    monkeypatch.undo()
    AutoModelForCausalLM.from_pretrained(folder).save_pretrained(folder)
    assert digest(load_policy(folder)[0]) == digest(before)


def test_shards_of_a_pickle_are_refused_too(tmp_path: Path) -> None:
    folder = small_models.make_model(tmp_path / "model")
    (folder / "model.safetensors").unlink()
    (folder / "pytorch_model-00001-of-00002.bin").write_bytes(b"pickle")
    (folder / "pytorch_model.bin.index.json").write_text('{"metadata": {}, "weight_map": {}}')
    with pytest.raises(DataError, match="holds pytorch_model-00001-of-00002.bin as a pickle"):
        load_policy(folder)
