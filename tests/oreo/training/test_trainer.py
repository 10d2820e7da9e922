"""oreo.training.trainer on small random models: laws of the loop, not of learning."""

from __future__ import annotations

import itertools
import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

from helpers import small_models
from helpers.pairwise import pairwise
from helpers.small_models import rollouts, rollouts_of
from helpers.training import FAST, WITH_VALUE, a_new_run, a_run, fast, gradient, log, log_ratio_of, weights
from oreo.data.buffer import TrajectoryBuffer
from oreo.models.loading import load_policy
from oreo.models.saving import digest
from oreo.training.config import TrainConfig
from oreo.training.methods.registry import METHODS
from oreo.training.trainer import train
from oreo.trajectory import Step, Trajectory

torch.set_num_threads(1)


# What comes out.


# A method knows nothing of the kind of its model: each with each value is enough.
@pytest.mark.parametrize(("method", "kind"), [*zip(METHODS, itertools.cycle(["llama", "qwen2", "gpt2"]))])
def test_every_method_trains_every_kind_of_model_into_folders_that_plain_transformers_loads(
    method: str, kind: str, tmp_path: Path
) -> None:
    model, output = small_models.make_model(tmp_path / "start", kind), tmp_path / "run"
    lines: list[dict[str, Any]] = []
    result = train(
        rollouts_of(method), method=method, model=model, output=output, epochs=2, on_step=lines.append, **fast(method)
    )
    count = {"rejection": 8, "dpo": 4 * 2, "step-dpo": 4}.get(method, 12)
    assert result.steps == len(lines) == 2 * math.ceil(count / 5)
    assert result.metrics == log(output)[-1] == {k: v for k, v in lines[-1].items() if k != "steps"}
    assert result.policy == output / "policy" and (result.value == output / "value") == (method in WITH_VALUE)
    assert digest(result.policy) != digest(model)
    AutoModelForCausalLM.from_pretrained(result.policy)
    if result.value:
        assert AutoModelForTokenClassification.from_pretrained(result.value).num_labels == 1
    files = {path.name for path in output.iterdir()}
    assert files == {"policy", "config.json", "log.jsonl"} | ({"value"} if method in WITH_VALUE else set())
    stored = json.loads((output / "config.json").read_text())
    assert stored["method"] == method and stored["lr"] == 1e-2 and stored["run"]["start"] == digest(model)


# The kind is for its layers and its head, tied and untied for what is trained and saved; the template for the encoding.
@pytest.mark.parametrize(
    ("kind", "tied", "template"),
    pairwise(["llama", "qwen2", "qwen3", "mistral", "gpt2", "gemma", "gemma2"], [False, True], [False, True]),
)
def test_every_kind_with_tied_heads_and_without_with_a_chat_template_and_without_trains_into_what_plain_libraries_load(
    kind: str, tied: bool, template: bool, tmp_path: Path
) -> None:
    chat = small_models.TEMPLATE if template else None
    start = small_models.make_model(tmp_path / "start", kind, tied=tied, template=chat)
    config = TrainConfig(method="oreo", model=str(start), epochs=1, **{**FAST, "batch_size": 12})
    run = a_new_run(rollouts(), config, tmp_path / "run")
    before = digest(run.modules.models["policy"])
    text = AutoTokenizer.from_pretrained(start).decode(run.rows.examples[0].pieces[0].input_ids)
    assert text.startswith("[") == template
    assert run.modules.packed
    result = run.train(None)
    assert result.steps == 1 and digest(result.policy) != before
    ids = torch.arange(90).view(2, 45)  # longer than the windows of those that have one
    for name, auto in (("policy", AutoModelForCausalLM), ("value", AutoModelForTokenClassification)):
        if name in run.modules.models:
            plain, model = auto.from_pretrained(tmp_path / "run" / name), run.modules.models[name]
            model.set_attn_implementation(plain.config._attn_implementation)  # it only knows packed rows
            with torch.no_grad():
                torch.testing.assert_close(plain(ids).logits, model(ids).logits, rtol=1e-5, atol=1e-5)
            assert AutoTokenizer.from_pretrained(tmp_path / "run" / name).chat_template == chat
    policy = AutoModelForCausalLM.from_pretrained(result.policy)
    assert (policy.get_output_embeddings().weight is policy.get_input_embeddings().weight) == tied
    again = load_policy(result.output)[0]
    assert digest(again) == digest(policy) == digest(result.policy)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lowers_its_own_loss(method: str, start: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 24, **fast(method), "batch_size": 12}
    train(rollouts_of(method), method=method, model=start, output=tmp_path / "run", **settings)
    lines = log(tmp_path / "run")
    assert lines[-1]["loss"] < (lines[0]["loss"] - 0.1 if method == "grpo" else 0.8 * lines[0]["loss"])
    if method in ("dpo", "step-dpo", "kto"):
        assert lines[0]["loss"] == pytest.approx(0.5 if method == "kto" else math.log(2), abs=1e-5)
        assert lines[-1]["accuracy"] > 0.8


def test_imitation_learns_its_data(start: Path, tmp_path: Path) -> None:
    train(small_models.episodes(), method="sft", model=start, output=tmp_path / "run", epochs=8, **fast("sft"))
    lines = log(tmp_path / "run")
    assert lines[-1]["nll"] < 0.5 * lines[0]["nll"]


def test_the_value_learns_the_outcome_and_the_policy_waits_for_it(start: Path, tmp_path: Path) -> None:
    result = train(
        small_models.episodes(),
        method="oreo",
        model=start,
        output=tmp_path / "run",
        epochs=1,
        value_warmup_epochs=7,
        **FAST,
    )
    lines = log(tmp_path / "run")
    assert [line["phase"] for line in lines] == ["value"] * 21 + ["oreo"] * 3
    assert lines[0]["value_loss"] == pytest.approx(lines[0]["value_target"])  # V = 0, R is 0 or 1
    assert lines[20]["value_loss"] < 0.5 * lines[0]["value_loss"]
    assert lines[20]["auc_middle"] is not None
    assert "kl" not in lines[20] and lines[21]["kl"] == pytest.approx(0, abs=1e-6) and lines[-1]["kl"] > 0
    assert digest(result.policy) != digest(start)


def test_a_buffer_is_trained_on_by_its_path(start: Path, tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path / "buffer") as buffer:
        buffer.extend(small_models.episodes())
    by_path = train(tmp_path / "buffer", method="sft", model=start, output=tmp_path / "one", **fast("sft"))
    by_list = train(small_models.episodes(), method="sft", model=start, output=tmp_path / "two", **fast("sft"))
    assert digest(by_path.policy) == digest(by_list.policy)


# One update is the gradient of the whole batch.


@pytest.mark.parametrize("method", METHODS)
def test_cutting_a_batch_into_micro_batches_changes_the_gradient_by_rounding_only(
    method: str, start: Path, tmp_path: Path
) -> None:
    norms = []
    for micro in (1, 90, 100_000):
        output = tmp_path / str(micro)
        train(
            rollouts_of(method),
            method=method,
            model=start,
            output=output,
            epochs=1,
            batch_size=12,
            micro_tokens=micro,
        )
        norms.append({k: v for k, v in log(output)[0].items() if "norm" in k or "loss" in k or k == "nll"})
    for other in norms[1:]:
        assert other == pytest.approx(norms[0], rel=1e-4, abs=1e-6)


def by_formula(run: Any, method: str) -> torch.Tensor:
    """The loss of all rows in one batch, written out; of KTO's several pieces each is one more sequence of its row."""
    config, examples = run.config, run.rows.examples

    def ratio(pieces: Any) -> torch.Tensor:
        return sum(log_ratio_of(run, piece.input_ids, piece.action_mask) for piece in pieces)

    losses = []
    if method == "dpo":
        for example in examples:
            won, lost = map(ratio, example.trajectories)
            losses.append(-torch.nn.functional.logsigmoid(config.beta * (won - lost)))
        return sum(losses) / len(losses)
    total = 0.0
    for index, example in enumerate(examples):
        beside = index + 1
        while examples[beside % len(examples)].name == example.name:
            beside += 1
        prompt = example.pieces[0].input_ids[: example.pieces[0].action_mask.argmax()]
        for piece in examples[beside % len(examples)].pieces:
            begins = piece.action_mask.argmax()
            ids = [*prompt, *piece.input_ids[begins:]][: run.max_length]
            mask = [*[False] * len(prompt), *piece.action_mask[begins:]][: run.max_length]
            total += log_ratio_of(run, ids, mask).item()
    point = max(0.0, total / len(examples))
    for example in examples:
        weight, sign = (config.desirable_weight, 1) if example.won else (config.undesirable_weight, -1)
        utility = torch.sigmoid(config.beta * sign * (ratio(example.pieces) - point))
        losses.append(weight - weight * utility)
    return sum(losses) / len(losses)


@pytest.mark.parametrize("pieces", ["whole", "split"])
@pytest.mark.parametrize("method", ["dpo", "kto"])
@pytest.mark.filterwarnings("ignore:.*were split")
def test_a_batchs_gradient_is_that_of_the_preference_formula_written_out_however_it_is_cut(
    method: str, pieces: str, start: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = dict(method=method, **({"undesirable_weight": 1.5} if method == "kto" else {}))
    if pieces == "split":
        settings |= dict(max_length=40, overlong="split")
    for micro in (1, 100, 100_000):
        run = a_run(rollouts(), start, tmp_path, micro, **settings)
        assert (max(map(len, run.rows.lengths)) > {"dpo": 2, "kto": 1}[method]) == (pieces == "split")
        metrics, _ = run.backward(range(len(run.rows.examples)))
        of_run = gradient(run)
        run.modules.models["policy"].zero_grad()
        expected = by_formula(run, method)
        expected.backward()
        assert metrics["loss"] == pytest.approx(expected.item(), rel=1e-5)
        if method == "kto":
            assert metrics["reference_point"] > 0
        for key, tensor in gradient(run).items():
            torch.testing.assert_close(of_run[key], tensor, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_every_methods_gradient_is_the_same_however_the_batch_is_cut(method: str, start: Path, tmp_path: Path) -> None:
    extra: dict[str, Any] = {"value_lambda": 0.5, "gamma": 0.9} if method in WITH_VALUE else {}
    gradients = []
    for micro in (1, 90, 100_000):
        run = a_run(rollouts_of(method), start, tmp_path, micro, method=method, **extra)
        run.backward(range(len(run.rows.examples)))
        gradients.append({(name, key): g for name in run.modules.models for key, g in gradient(run, name).items()})
    for other in gradients[1:]:
        for key, tensor in gradients[0].items():
            torch.testing.assert_close(other[key], tensor, rtol=1e-3, atol=1e-5 * float(tensor.abs().max()) + 1e-7)


def test_bfloat16_computes_and_saves_float32(start: Path, tmp_path: Path) -> None:
    result = train(small_models.episodes(), model=start, output=tmp_path / "run", epochs=1, bf16=True, **FAST)
    assert all(tensor.dtype == torch.float32 for tensor in weights(result.policy).values())
    train(small_models.episodes(), model=start, output=tmp_path / "again", epochs=1, **FAST)


# Interruption.


@pytest.mark.parametrize("method", ["sft", "dpo", "kto", "dqo", "oreo"])
def test_an_interrupted_and_resumed_run_ends_with_the_same_bits(method: str, start: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = dict(method=method, model=start, epochs=2, **fast(method))
    if method == "oreo":
        settings["value_warmup_epochs"] = 1
    if method == "dpo":
        settings["batch_size"] = 3
    whole = train(rollouts(), output=tmp_path / "whole", **settings)

    def stop_at(step: int) -> Any:
        def on_step(line: dict[str, Any]) -> None:
            if line["step"] == step:
                raise KeyboardInterrupt

        return on_step

    output = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(rollouts(), output=output, on_step=stop_at(2), **settings)
    assert [path.name for path in (output / "checkpoint").iterdir()] == ["step-00000002"]
    with pytest.raises(KeyboardInterrupt):
        train(rollouts(), output=output, on_step=stop_at(4), resume=True, **settings)
    resumed = train(rollouts(), output=output, resume=True, **settings)
    for name in ("policy", "value"):
        if (whole.output / name).exists():
            for key, tensor in weights(whole.output / name).items():
                assert torch.equal(tensor, weights(resumed.output / name)[key]), key
    timeless = [
        [{k: v for k, v in line.items() if "second" not in k} for line in log(x)] for x in (whole.output, output)
    ]
    assert timeless[0] == timeless[1]
    again = train(rollouts(), output=output, resume=True, **settings)
    assert again == resumed and not (output / "checkpoint").exists()


def test_a_killed_run_goes_on_from_its_last_checkpoint(start: Path, tmp_path: Path) -> None:
    class Killed(BaseException):
        """Like a kill, it gives no chance to save."""

    def on_step(line: dict[str, Any]) -> None:
        if line["step"] == 3:
            raise Killed

    settings: dict[str, Any] = dict(method="sft", model=start, epochs=2, **fast("sft"))
    whole = train(small_models.episodes(), output=tmp_path / "whole", **settings)
    output = tmp_path / "run"
    with pytest.raises(Killed):
        train(small_models.episodes(), output=output, on_step=on_step, save_every=2, **settings)
    # What a kill in the middle of saving leaves behind is ignored, and half a log line too.
    (output / "checkpoint" / ".step-00000003.new-1").mkdir()
    with (output / "log.jsonl").open("a") as opened:
        opened.write('{"step": 4, "ep')
    train(small_models.episodes(), output=output, resume=True, save_every=3, **settings)
    assert [line["step"] for line in log(output)] == list(range(1, 7))
    for key, tensor in weights(whole.policy).items():
        assert torch.equal(tensor, weights(output / "policy")[key])


def test_prompts_that_samples_share_are_computed_once_in_updates_of_whole_games(start: Path, tmp_path: Path) -> None:
    task = "A long task that is told to everybody who plays this game."
    steps = [Step(task, f"turn {n}", reward=float(n % 2)) for n in range(20)]
    games = [f"game {index // 4}" for index in range(20)]
    data = [
        Trajectory("test", (step,), "", True, False, index % 2 > 0, game=game)
        for index, (step, game) in enumerate(zip(steps, games, strict=True))
    ]
    tokens = {}
    for order in ("rows", "games"):
        config = TrainConfig(model=str(start), batch_size=4, order=order)
        run = a_new_run(data, config, tmp_path)
        rows = [run.rows.of(index) for index in range(5)]
        assert sorted(row for batch_rows in rows for row in batch_rows) == list(range(20))
        batches = [
            run._batch([run.rows.examples[row] for row in micro.rows])
            for batch_rows in rows
            for micro in run.micro_batching.cut(batch_rows, run.rows.lengths, run.rows.games)
        ]
        tokens[order] = sum(batch.packing.input_ids.numel() for batch in batches)
        assert all(len({games[row] for row in batch_rows}) == 1 for batch_rows in rows) == (order == "games")
    assert tokens["games"] < tokens["rows"]
