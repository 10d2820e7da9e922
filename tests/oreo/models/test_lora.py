"""oreo.models.lora: two adapters on one base, or one beside a whole policy, in memory and on disk."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import AutoPeftModelForCausalLM, AutoPeftModelForTokenClassification
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from helpers import small_models
from oreo.agents import load_agent
from oreo.errors import DataError, UsageError
from oreo.models import lora
from oreo.models.loading import load_policy, load_value
from oreo.models.saving import digest
from oreo.models.scorers import Policy, Value
from oreo.training.config import TrainConfig
from oreo.training.methods.spec import Update
from oreo.training.run_folder import RunFolder
from oreo.training.trainer import Run, train

torch.set_num_threads(1)
SETTINGS: dict[str, Any] = dict(batch_size=5, lr=1e-2, value_lr=1e-2, lora_r=4, epochs=1)
SFT: dict[str, Any] = dict(method="sft", value_lr=None)
IDS = torch.arange(60).view(2, 30)


@pytest.fixture(params=["llama", "gpt2"])
def start(request: Any, tmp_path: Path) -> Path:
    return small_models.make_model(tmp_path / "start", request.param)


def a_run(start: Path, output: Path, *, moved: bool = False, **settings: Any) -> Any:
    """A run before its first update; `moved`: whose adapters have left their beginning."""
    episodes = [
        dataclasses.replace(episode, game=f"game {index % 4}") for index, episode in enumerate(small_models.episodes())
    ]
    config = TrainConfig(model=str(start), **{**SETTINGS, **settings})
    run = Run(episodes, config, RunFolder(output, config))
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for parameter in [weight for trained in run.modules.trained.values() for weight in trained if moved]:
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=random))
    return run


def test_policy_value_and_reference_are_one_copy_of_the_base(start: Path, tmp_path: Path) -> None:
    run = a_run(start, tmp_path / "run")
    modules = [*run.modules.called.values(), run.modules.reference]
    tensors = {weight.data_ptr(): weight.numel() for module in modules for weight in module.parameters()}
    base = sum(parameter.numel() for parameter in load_policy(start)[0].parameters())
    trained = sum(weight.numel() for trained in run.modules.trained.values() for weight in trained)
    assert sum(tensors.values()) == base + trained and trained < base


def test_it_begins_at_the_reference_exactly_and_gradient_flows_to_adapters_and_head_only(
    start: Path, tmp_path: Path
) -> None:
    run = a_run(start, tmp_path / "run")
    metrics, _ = run.backward(range(12))
    assert metrics["kl"] == metrics["log_ratio"] == metrics["value"] == 0.0
    ours = {id(weight) for trained in run.modules.trained.values() for weight in trained}
    for model in run.modules.models.values():
        assert all((parameter.grad is not None) == (id(parameter) in ours) for parameter in model.parameters())


@pytest.mark.parametrize("method", ["oreo", "dpo", "kto"])
def test_the_gradient_is_that_of_separate_models_with_the_same_adapters(
    method: str, start: Path, tmp_path: Path
) -> None:
    rate = SETTINGS["value_lr"] if method == "oreo" else None
    run = a_run(start, tmp_path / "run", method=method, value_lr=rate, moved=True)
    rows = range(len(run.rows.examples))
    run.modules.saver(run.tokenizer, keep=True)(tmp_path / "saved")
    metrics, _ = run.backward(rows)
    reference, _ = load_policy(start)
    policy = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "saved" / "policy", is_trainable=True)
    modules: dict[str, Any] = {"policy": policy}
    value = None
    if "value" in run.modules.models:
        value = AutoPeftModelForTokenClassification.from_pretrained(
            tmp_path / "saved" / "value", num_labels=1, is_trainable=True
        )
        modules["value"] = value
    update = Update(
        run.config,
        Policy(policy.get_base_model()),
        value and Value(value.get_base_model()),
        Policy(reference),
        prepared=run._update(rows).prepared,
    )
    examples = [run.rows.examples[row] for row in rows]
    padded = dataclasses.replace(run._batch(examples), packing=None)
    outcome = run.method.loss(update, padded, examples)
    outcome.loss.backward()
    assert metrics["loss"] == pytest.approx(outcome.loss.item(), rel=1e-5)
    for name, model in modules.items():
        theirs = {
            key.replace(".default.", ".").replace(".modules_to_save", "").removeprefix("base_model.model."): weight.grad
            for key, weight in model.named_parameters()
            if weight.grad is not None and weight.requires_grad
        }
        ours = {
            key.replace(f".{name}.", "."): weight.grad
            for key, weight in lora.parameters(run.modules.models[name], name).items()
        }
        assert ours.keys() == theirs.keys()
        for key, gradient in ours.items():
            torch.testing.assert_close(gradient, theirs[key], rtol=1e-3, atol=1e-6)


def test_saved_adapters_load_in_plain_peft_and_in_our_loaders_with_the_same_logits_and_values(
    start: Path, tmp_path: Path
) -> None:
    run = a_run(start, tmp_path / "run", moved=True, packed=False)
    result = run.train(None)
    with torch.no_grad():
        lora.switch(run.modules.models["policy"], "policy")
        logits = run.modules.models["policy"](IDS).logits
        lora.switch(run.modules.models["value"], "value")
        values = run.modules.models["value"](IDS).logits
        lora.switch(run.modules.models["policy"], None)
        assert torch.equal(run.modules.models["policy"](IDS).logits, load_policy(start)[0](IDS).logits)
        policy = AutoPeftModelForCausalLM.from_pretrained(result.policy)
        value = AutoPeftModelForTokenClassification.from_pretrained(result.value, num_labels=1)
        torch.testing.assert_close(policy(IDS).logits, logits)
        torch.testing.assert_close(value(IDS).logits, values)
        torch.testing.assert_close(load_policy(result.output)[0](IDS).logits, logits, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(load_value(result.output)(IDS).logits, values, rtol=1e-3, atol=1e-4)
    assert values.std() > 0
    assert {path.name for path in result.output.iterdir()} == {"policy", "value", "config.json", "log.jsonl"}


@pytest.mark.parametrize("fields", [SFT, dict(method="oreo"), dict(method="oreo", lora_models="value", bf16=True)])
def test_an_interrupted_and_resumed_run_ends_with_the_same_bits(
    fields: dict[str, Any], start: Path, tmp_path: Path
) -> None:
    def stop(line: dict[str, Any]) -> None:
        if line["step"] == 2:
            raise KeyboardInterrupt

    settings = dict(model=start, **{**SETTINGS, **fields})
    whole = train(small_models.episodes(), output=tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        train(small_models.episodes(), output=tmp_path / "run", on_step=stop, **settings)
    resumed = train(small_models.episodes(), output=tmp_path / "run", resume=True, **settings)
    assert train(small_models.episodes(), output=tmp_path / "run", resume=True, **settings) == resumed
    files = [file.relative_to(whole.output) for file in whole.output.glob("*/*model.safetensors")]
    assert len(files) == (1 if fields["method"] == "sft" else 2)
    for file in files:
        ours, theirs = (load_file(run.output / file) for run in (whole, resumed))
        assert all(torch.equal(ours[key], theirs[key]) for key in ours)


def test_adapters_on_an_adapter_stand_on_a_base_beside_them_and_play(tmp_path: Path) -> None:
    start = small_models.make_model(tmp_path / "start")
    sft = train(small_models.episodes(), model=start, output=tmp_path / "sft", **{**SETTINGS, **SFT})
    result = train(small_models.episodes(), method="oreo", model=sft.output, output=tmp_path / "run", **SETTINGS)
    assert digest(load_policy(sft.output)[0]) == digest(result.output / "base")
    lines = [json.loads(line) for line in (result.output / "log.jsonl").read_text().splitlines()]
    assert lines[0]["kl"] == 0.0
    before = digest(load_policy(result.output)[0])
    result.output.rename(tmp_path / "moved")
    assert digest(load_policy(tmp_path / "moved")[0]) == before
    agent = load_agent(str(tmp_path / "moved"), choose="best-of", k=2)
    assert agent.checkpoint == before  # type: ignore[attr-defined]
    whole = train(small_models.episodes(), model=sft.output, output=tmp_path / "all", **{**SETTINGS, "lora_r": 0})
    assert json.loads((tmp_path / "all" / "log.jsonl").read_text().splitlines()[0])["value"] == 0.0
    assert (whole.policy / "model.safetensors").is_file()


def test_a_bfloat16_base_has_float32_adapters(tmp_path: Path) -> None:
    start = small_models.make_model(tmp_path / "start")
    run = a_run(start, tmp_path / "run", bf16=True)
    assert run.modules.models["policy"].get_input_embeddings().weight.dtype == torch.bfloat16
    assert {weight.dtype for trained in run.modules.trained.values() for weight in trained} == {torch.float32}
    metrics, _ = run.backward(range(12))
    assert metrics["kl"] == metrics["log_ratio"] == 0.0
    assert run.train(None).steps == 3


# The value alone.


@pytest.mark.parametrize("bf16", [False, True])
def test_beside_a_whole_policy_one_frozen_copy_is_reference_and_base_of_the_value_and_begins_equal_to_the_bit(
    bf16: bool, start: Path, tmp_path: Path
) -> None:
    run = a_run(start, tmp_path / "run", lora_models="value", bf16=bf16)
    trained = {name: sum(weight.numel() for weight in each_of) for name, each_of in run.modules.trained.items()}
    whole = sum(parameter.numel() for parameter in load_policy(start)[0].parameters())
    assert trained["policy"] == whole > trained["value"]
    beside = [*run.modules.called["value"].parameters(), *run.modules.reference.parameters()]
    tensors = {weight.data_ptr(): weight for weight in beside}
    assert sum(weight.numel() for weight in tensors.values()) == whole + trained["value"]
    assert not {weight.data_ptr() for weight in run.modules.models["policy"].parameters()} & tensors.keys()
    halved = [weight for weight in tensors.values() if weight.dtype == torch.bfloat16]
    assert all(weight.ndim == 2 and not weight.requires_grad for weight in halved) and bool(halved) == bf16
    assert run.modules.reference.gathers
    metrics, _ = run.backward(range(12))
    assert metrics["kl"] == metrics["log_ratio"] == metrics["value"] == 0.0
    ours = {id(weight) for each_of in run.modules.trained.values() for weight in each_of}
    for weight in (*run.modules.models["policy"].parameters(), *beside):
        assert (weight.grad is not None) == (id(weight) in ours)


def test_beside_a_whole_policy_gradients_are_those_of_the_runs_that_train_both_ways(
    start: Path, tmp_path: Path
) -> None:
    """The policy's that of whole models, the value's that of two adapters: where all of them begin, and V is zero."""
    runs = {
        name: a_run(start, tmp_path / name, **fields)
        for name, fields in {"whole": dict(lora_r=0), "both": {}, "value": dict(lora_models="value")}.items()
    }
    for run in runs.values():
        run.backward(range(12))
    for name, other in (("policy", "whole"), ("value", "both")):
        ours, theirs = (
            {
                key: weight.grad
                for key, weight in run.modules.models[name].named_parameters()
                if any(weight is one for one in run.modules.trained[name])
            }
            for run in (runs["value"], runs[other])
        )
        assert ours.keys() == theirs.keys() and any(float(weight.abs().max()) > 0 for weight in ours.values())
        for key, gradient in ours.items():
            torch.testing.assert_close(gradient, theirs[key], rtol=1e-4, atol=1e-7)


def test_a_whole_policy_and_an_adapter_for_its_value_load_in_plain_libraries_and_play(
    start: Path, tmp_path: Path
) -> None:
    run = a_run(start, tmp_path / "run", lora_models="value", epochs=3, packed=False)
    result = run.train(None)
    with torch.no_grad():
        logits = run.modules.models["policy"](IDS).logits
        lora.switch(run.modules.models["value"], "value")
        values = run.modules.models["value"](IDS).logits
        lora.switch(run.modules.models["value"], None)
        before = load_policy(start)[0](IDS).logits
        torch.testing.assert_close(run.modules.reference.model(IDS).logits, before, rtol=0, atol=0)
        policy = AutoModelForCausalLM.from_pretrained(result.policy)
        value = AutoPeftModelForTokenClassification.from_pretrained(result.value, num_labels=1)
        torch.testing.assert_close(policy(IDS).logits, logits)
        torch.testing.assert_close(value(IDS).logits, values)
        torch.testing.assert_close(load_value(result.output)(IDS).logits, values, rtol=1e-3, atol=1e-4)
    assert values.std() > 0 and not torch.allclose(logits, before, atol=1e-2)
    assert json.loads((result.value / "adapter_config.json").read_text())["base_model_name_or_path"] == str(start)
    assert load_agent(str(result.output), choose="best-of", k=2).reader.value_reader is not None  # type: ignore[attr-defined]


def test_a_value_on_an_adapter_stands_on_a_base_beside_it(tmp_path: Path) -> None:
    start = small_models.make_model(tmp_path / "start")
    sft = train(small_models.episodes(), model=start, output=tmp_path / "sft", **{**SETTINGS, **SFT})
    fields = dict(lora_models="value", bf16=True)
    result = train(small_models.episodes(), model=sft.output, output=tmp_path / "run", **SETTINGS, **fields)
    assert digest(load_policy(sft.output)[0]) == digest(result.output / "base")
    assert json.loads((result.output / "log.jsonl").read_text().splitlines()[0])["kl"] == 0.0
    result.output.rename(tmp_path / "moved")
    assert load_value(tmp_path / "moved")(IDS).logits.std() > 0


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(lora_models="value"), "lora_models 'value' means nothing without lora_r"),
        (dict(lora_r=4, lora_models="policy"), "both, value"),
        (dict(method="sft", lora_r=4, lora_models="value"), "lora_models means nothing to method 'sft'"),
        (dict(lora_r=4, lora_targets="nowhere"), "lora_targets 'nowhere' do not fit"),
        (dict(lora_r=4, lora_targets="lm_head,q_proj"), "output layer"),
        (
            dict(lora_r=4, lora_targets="embed_tokens"),
            "'embed_tokens': model.embed_tokens is no linear layer .* q_proj",
        ),
        (dict(lora_r=4, lora_targets="q_proj,embed_tokens"), "model.embed_tokens is no linear layer"),
        (dict(lora_r=0, lora_alpha=8), "without lora_r"),
        (dict(lora_r=4, value_model="somewhere"), "leave value_model out"),
        (dict(lora_r=-1), "lora_r is -1"),
    ],
)
def test_wrong_settings_give_one_clear_line(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    start = small_models.make_model(tmp_path / "start")
    with pytest.raises(UsageError, match=message) as error:
        train(small_models.episodes(), model=start, output=tmp_path / "run", **fields)
    assert "\n" not in str(error.value) and not (tmp_path / "run").exists()


def test_an_adapter_without_its_base_is_named_and_vllm_is_not_given_one(tmp_path: Path) -> None:
    start = small_models.make_model(tmp_path / "start")
    result = train(small_models.episodes(), model=start, output=tmp_path / "run", **{**SETTINGS, **SFT})
    with pytest.raises(DataError, match="is a LoRA adapter"):
        load_agent(f"vllm:{result.output}")
    start.rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="no model at"):
        load_policy(result.output)


def test_a_pickled_adapter_is_refused_with_how_to_convert_it_and_the_advice_works(tmp_path: Path) -> None:
    start = small_models.make_model(tmp_path / "start")
    policy = Path(train(small_models.episodes(), model=start, output=tmp_path / "run", **{**SETTINGS, **SFT}).policy)
    before, _ = load_policy(policy)
    tensors = load_file(policy / "adapter_model.safetensors")
    (policy / "adapter_model.safetensors").unlink()
    with pytest.raises(DataError, match=r"adapter_model\.safetensors is missing, and SHA256SUMS lists it"):
        load_policy(policy)
    (policy / "SHA256SUMS").unlink()
    with pytest.raises(DataError, match="holds no adapter_model.safetensors"):
        load_policy(policy)
    torch.save(tensors, policy / "adapter_model.bin")
    with pytest.raises(DataError, match="holds adapter_model.bin as a pickle, which can run code") as error:
        load_policy(policy)
    pickled, safe = str(policy / "adapter_model.bin"), str(policy / "adapter_model.safetensors")
    advice = f"save_file(torch.load({pickled!r}, weights_only=True), {safe!r}, {{'format': 'pt'}})"
    assert "\n" not in str(error.value) and str(error.value).endswith(advice)
    save_file(torch.load(pickled, weights_only=True), safe, {"format": "pt"})
    assert digest(load_policy(policy)[0]) == digest(before)
