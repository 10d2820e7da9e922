"""oreo.models.loading against plain transformers calls."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from helpers import small_models
from oreo.errors import DataError, UsageError
from oreo.models.loading import load_policy, load_value, parameter_count, resolve_checkpoint
from oreo.models.saving import save_model

torch.set_num_threads(1)


def test_models_are_without_dropout_even_in_training_mode(folder: Path) -> None:
    ids, mask = small_models.ids_and_mask()
    policy, value = load_policy(folder)[0], load_value(folder)
    with torch.no_grad():
        for model in (policy, value):
            torch.testing.assert_close(model.train()(ids).logits, model.eval()(ids).logits, rtol=1e-6, atol=1e-6)


def test_checkpoints_are_found_in_output_folders_model_folders_and_by_name(tmp_path: Path) -> None:
    small_models.make_model(tmp_path / "run" / "policy")
    assert resolve_checkpoint(tmp_path / "run") == (str(tmp_path / "run" / "policy"), None)
    save_model(load_value(tmp_path / "run" / "policy"), None, tmp_path / "run" / "value")
    assert resolve_checkpoint(tmp_path / "run")[1] == str(tmp_path / "run" / "value")
    assert resolve_checkpoint(tmp_path / "run" / "policy") == (str(tmp_path / "run" / "policy"), None)
    assert resolve_checkpoint("tiny")[0].endswith("tiny")


def test_what_is_no_model_gives_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "config.json").write_text("{}")
    (tmp_path / "unfinished").mkdir()
    (tmp_path / "unfinished" / "log.jsonl").write_text("")
    for name, message in (("missing", "no such folder"), ("empty", "no model"), ("unfinished", "not finished")):
        with pytest.raises(DataError, match=message):
            load_policy(tmp_path / name)
    for load in (load_policy, load_value):
        with pytest.raises(DataError, match="cannot load") as error:
            load(tmp_path / "broken")
        assert "\n" not in str(error.value)
    with pytest.raises(UsageError, match="float32"):
        load_policy(small_models.make_model(tmp_path / "m"), dtype="float64")


def changed(folder: Path, target: Path, **fields: object) -> Path:
    """A copy of a model with other fields in its config.json."""
    shutil.copytree(folder, target)
    (target / "SHA256SUMS").unlink(missing_ok=True)
    config = json.loads((target / "config.json").read_text())
    (target / "config.json").write_text(json.dumps(config | fields))
    return target


@pytest.mark.parametrize("load", [load_policy, load_value])
@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "experts_implementation"])
def test_a_config_that_asks_for_code_of_the_hub_is_refused(load, key: str, folder: Path, tmp_path: Path) -> None:
    hostile = changed(folder, tmp_path / "m", **{key: "somebody/kernel:run"})
    with pytest.raises(DataError, match="asks for .*_implementation 'somebody/kernel:run', which is code of the Hub"):
        load(hostile)
    load(changed(folder, tmp_path / "ours", **{key: "eager"}))


@pytest.mark.parametrize("load", [load_policy, load_value])
@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"num_hidden_layers": 10**9}, "num_hidden_layers is 1000000000, and the weights beside it are"),
        ({"text_config": {"num_layers": 10**9}}, "num_layers is 1000000000"),
        ({"hidden_size": 10**7}, r"config\.json is of a model of [\d,]{10,} numbers, and [\d,]{5,6} are beside it"),
        ({"vocab_size": 10**12}, r"config\.json is of a model of [\d,]{15,} numbers"),
        ({"hidden_size": 32}, "its weights have other shapes than its config.json says"),
        ({"num_attention_heads": "many"}, "cannot load a model from .*(int|str)"),
    ],
)
def test_a_config_of_another_size_than_its_weights_is_refused_at_once(
    load, fields: dict[str, object], message: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message) as error:
        load(changed(folder, tmp_path / "m", **fields))
    assert "\n" not in str(error.value)


def test_a_pipe_in_place_of_a_file_is_named(folder: Path, tmp_path: Path) -> None:
    hostile = changed(folder, tmp_path / "m")
    (hostile / "tokenizer_config.json").unlink()
    os.mkfifo(hostile / "tokenizer_config.json")
    with pytest.raises(DataError, match=r"tokenizer_config\.json is no regular file"):
        load_policy(hostile)


def test_a_value_is_refused_as_a_policy_and_the_policy_beside_it_named(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = load_policy(folder)
    save_model(model, tokenizer, tmp_path / "run" / "policy")
    save_model(load_value(folder), tokenizer, tmp_path / "run" / "value")
    load_value(tmp_path / "run" / "value")
    with pytest.raises(
        DataError, match=f"gives values and writes no text; its policy is {tmp_path / 'run' / 'policy'}"
    ):
        load_policy(tmp_path / "run" / "value")
    (tmp_path / "run" / "value").rename(tmp_path / "alone")
    with pytest.raises(DataError, match="writes no text; name a causal language model"):
        load_policy(tmp_path / "alone")


@pytest.mark.parametrize("file", ["config.json", "generation_config.json"])
def test_an_end_of_sequence_that_is_no_token_is_refused(file: str, folder: Path, tmp_path: Path) -> None:
    model, _ = load_policy(folder)
    rows = model.get_input_embeddings().weight.shape[0]
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / file
    config = json.loads(path.read_text())
    for end, whole in ((rows - 1, True), ([0, rows - 1], True), (rows, False), (-1, False), ([0, 10**6], False)):
        path.write_text(json.dumps({**config, "eos_token_id": end}))
        if whole:
            load_policy(tmp_path / "copy")
        else:
            with pytest.raises(DataError, match=f"eos_token_id is .* embeds only {rows} tokens"):
                load_policy(tmp_path / "copy")


def test_a_tokenizer_with_more_tokens_than_the_model_embeds_is_refused(folder: Path, tmp_path: Path) -> None:
    model, tokenizer = load_policy(folder)
    rows = model.get_input_embeddings().weight.shape[0]
    tokenizer.add_tokens([f"<new {number}>" for number in range(rows - len(tokenizer))])
    save_model(model, tokenizer, tmp_path / "full")
    load_policy(tmp_path / "full")
    tokenizer.add_tokens(["<one too many>"])
    save_model(model, tokenizer, tmp_path / "over")
    with pytest.raises(DataError, match=f"has ids up to {rows}, but the model embeds only {rows} tokens"):
        load_policy(tmp_path / "over")


def test_how_large_a_model_is_is_told_from_its_headers(tmp_path: Path) -> None:
    model, tokenizer = load_policy(small_models.make_model(tmp_path / "model"))
    count = sum(parameter.numel() for parameter in model.parameters())
    assert parameter_count(tmp_path / "model") == count
    save_model(model, tokenizer, tmp_path / "run" / "policy")
    assert parameter_count(tmp_path / "run") == count
    assert parameter_count("someone/some-model") is None
