"""oreo.models.activations: what is computed again is what was forgotten, through the same adapter."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import CTRLConfig, CTRLLMHeadModel, MixtralConfig, MixtralForCausalLM

from helpers import small_models
from helpers.pairwise import pairwise
from helpers.small_models import rollouts
from oreo.errors import UsageError
from oreo.models.activations import checkpoint_activations
from oreo.training.config import TrainConfig
from oreo.training.run_folder import RunFolder
from oreo.training.trainer import Run, train

torch.set_num_threads(1)
FAST: dict[str, Any] = dict(batch_size=5, lr=1e-2, value_lr=1e-2, epochs=1)
WAYS: dict[str, dict[str, Any]] = {
    "whole": {},
    "bf16": dict(bf16=True),
    "lora": dict(lora_r=4),
    "lora bf16": dict(lora_r=4, bf16=True),
    "lora of the value": dict(lora_r=4, lora_models="value"),
}


def same_bits(one: Path, other: Path) -> None:
    files = [file.relative_to(one) for file in one.glob("*/*model.safetensors")]
    assert files
    for file in files:
        weights = [load_file(folder / file) for folder in (one, other)]
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.equal(tensor, weights[1][key]) for key, tensor in weights[0].items()), file


# The method decides which models run, the kind which blocks, the way which parameters and in which numbers.
@pytest.mark.parametrize(
    ("method", "kind", "way"),
    pairwise(
        ["oreo", "sft", "dpo"],
        ["llama", "gpt2", "qwen2", "qwen3", "mistral", "gemma", "gemma2"],
        [*WAYS],
        allow=lambda method, kind, way: (
            (method == "oreo" or "value" not in way)
            and (kind in ("llama", "gpt2") or (method == "oreo" and way in ("whole", "lora")))
        ),
    ),
)
def test_weights_after_training_are_the_same_bits(method: str, kind: str, way: str, tmp_path: Path) -> None:
    settings = dict(method=method, model=small_models.make_model(tmp_path / "start", kind), micro_tokens=120, **FAST)
    if method != "oreo":
        del settings["value_lr"]
    for name, checkpoint in (("kept", False), ("again", True)):
        output = tmp_path / name
        train(rollouts(), output=output, checkpoint_activations=checkpoint, **settings, **WAYS[way])
    same_bits(tmp_path / "kept", tmp_path / "again")
    lines = [json.loads((tmp_path / name / "log.jsonl").read_text().splitlines()[-1]) for name in ("kept", "again")]
    assert lines[0]["loss"] == lines[1]["loss"]


def a_run(folder: Path, **settings: Any) -> Any:
    config = TrainConfig(model=str(small_models.make_model(folder / "start")), **settings)
    return Run(rollouts(), config, RunFolder(folder / "run", config))


@pytest.mark.parametrize("lora_r", [0, 4])
def test_each_block_is_computed_once_more_and_the_reference_is_not(lora_r: int, tmp_path: Path) -> None:
    calls: dict[bool, int] = {}
    for checkpoint in (False, True):
        run = a_run(tmp_path, lora_r=lora_r, checkpoint_activations=checkpoint)
        calls[checkpoint] = 0

        def count(*_: Any, checkpoint: bool = checkpoint) -> None:
            calls[checkpoint] += 1

        blocks = {m for model in (*run.modules.models.values(), run.modules.reference.model) for m in model.modules()}
        for block in blocks:
            if type(block).__name__ == "LlamaMLP":
                block.register_forward_pre_hook(count)
        run.backward(range(12))
    # Two blocks of policy, value and reference; then those of policy and value again.
    assert calls == {False: 6, True: 10}


def test_of_a_block_only_its_inputs_are_kept(tmp_path: Path) -> None:
    kept = []
    for checkpoint in (False, True):
        run = a_run(tmp_path, method="sft", checkpoint_activations=checkpoint)
        sizes: dict[int, int] = {}

        def pack(tensor: torch.Tensor, sizes: dict[int, int] = sizes) -> torch.Tensor:
            sizes[tensor.untyped_storage().data_ptr()] = tensor.numel()
            return tensor

        batch = run._batch(run.rows.examples)
        policy = run.modules.models["policy"]
        body = policy.base_model
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            hidden = body(**batch.packing.inputs(policy)).last_hidden_state
        weights = {parameter.untyped_storage().data_ptr() for parameter in body.parameters()}
        kept.append(sum(size for pointer, size in sizes.items() if pointer not in weights))
        hidden.sum().backward()
    assert kept[1] < kept[0] / 4


def test_only_what_asks_for_training_mode_is_in_it(tmp_path: Path) -> None:
    shape = dict(hidden_size=16, intermediate_size=16, num_attention_heads=2, num_key_value_heads=1)
    model = MixtralForCausalLM(MixtralConfig(**shape, vocab_size=20, num_hidden_layers=1, router_jitter_noise=0.5))
    model.eval()
    ids = torch.arange(10)[None]
    before = model(ids).logits
    checkpoint_activations(model)
    torch.testing.assert_close(model(ids).logits, before)
    run = a_run(tmp_path, checkpoint_activations=True)
    assert not any(module.training for module in run.modules.reference.model.modules())


def test_a_run_is_resumed_with_and_without_and_ends_with_the_same_bits(tmp_path: Path) -> None:
    def stop(line: dict[str, Any]) -> None:
        if line["step"] == 2:
            raise KeyboardInterrupt

    settings: dict[str, Any] = dict(method="oreo", model=small_models.make_model(tmp_path / "start"), **FAST)
    train(rollouts(), output=tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        train(rollouts(), output=tmp_path / "run", on_step=stop, **settings)
    train(rollouts(), output=tmp_path / "run", resume=True, checkpoint_activations=True, **settings)
    same_bits(tmp_path / "whole", tmp_path / "run")


def test_a_model_that_cannot_is_named_in_one_line() -> None:
    model = CTRLLMHeadModel(CTRLConfig(vocab_size=20, n_embd=8, dff=8, n_layer=1, n_head=2))
    with pytest.raises(UsageError, match="cannot do it for a CTRLLMHeadModel; leave it out") as error:
        checkpoint_activations(model)
    assert "\n" not in str(error.value)
