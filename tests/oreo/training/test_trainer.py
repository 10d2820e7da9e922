"""oreo.training.trainer, config, batches and checkpoint on small random models: laws of the loop, not of learning."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import os
import signal
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModel, AutoModelForCausalLM, AutoModelForTokenClassification, AutoTokenizer

import oreo.training.interrupts
import oreo.training.methods.sft
from helpers import small_models
from helpers.pairwise import pairwise
from helpers.small_models import rollouts
from oreo.data.buffer import TrajectoryBuffer
from oreo.encoding.turn_format import TurnFormat
from oreo.errors import DataError, UsageError
from oreo.models import lora
from oreo.models.loading import load_policy, load_value
from oreo.models.saving import digest
from oreo.training.batches import collate, micro_batches, share_out
from oreo.training.config import TrainConfig
from oreo.training.losses import merge_steps, policy_loss, trajectory_mean, value_loss
from oreo.training.methods.registry import METHODS
from oreo.training.metrics import auc
from oreo.training.nonfinite import NonFiniteLoss
from oreo.training.rows import RowKind, encode_all, epoch_order, with_reward
from oreo.training.run_folder import RunFolder
from oreo.training.schedule import schedule
from oreo.training.trainer import Run, train
from oreo.trajectory import Step, Trajectory

torch.set_num_threads(1)
WITH_VALUE = ("dqo", "oreo")
FAST = dict(batch_size=5, lr=1e-2, value_lr=1e-2)


def fast(method: str) -> dict[str, Any]:
    return {name: value for name, value in FAST.items() if name != "value_lr" or method in WITH_VALUE}


@pytest.fixture(scope="session")
def start(tmp_path_factory: Any) -> Path:
    return small_models.make_model(tmp_path_factory.mktemp("start") / "model")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def log(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def a_new_run(data: list[Any], config: TrainConfig, output: Path) -> Run:
    """A run before its first update."""
    return Run(data, config, RunFolder(output, config))


# What comes out.


# A method knows nothing of the kind of its model: each with each value is enough.
@pytest.mark.parametrize(("method", "kind"), [*zip(METHODS, itertools.cycle(["llama", "qwen2", "gpt2"]))])
def test_every_method_trains_every_kind_of_model_into_folders_that_plain_transformers_loads(
    method: str, kind: str, tmp_path: Path
) -> None:
    model, output = small_models.make_model(tmp_path / "start", kind), tmp_path / "run"
    lines: list[dict[str, Any]] = []
    result = train(
        rollouts(), method=method, model=model, output=output, epochs=2, on_step=lines.append, **fast(method)
    )
    count = {"rejection": 8, "dpo": 4 * 2}.get(method, 12)
    assert result.steps == len(lines) == 2 * math.ceil(count / 5)
    assert result.metrics == log(output)[-1] == {k: v for k, v in lines[-1].items() if k != "steps"}
    assert result.policy == output / "policy" and (result.value == output / "value") == (method in WITH_VALUE)
    assert digest(result.policy) != digest(model)
    AutoModelForCausalLM.from_pretrained(result.policy)
    if result.value:
        assert AutoModelForTokenClassification.from_pretrained(result.value).num_labels == 1
    left = {path.name for path in output.iterdir()}
    assert left == {"policy", "config.json", "log.jsonl"} | ({"value"} if method in WITH_VALUE else set())
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


@pytest.mark.parametrize("lora_r", [0, 4])
@pytest.mark.parametrize("kind", ["gemma3", "olmo2", "opt", "granite"])
def test_kinds_that_transformers_has_no_value_model_for_have_one_here(kind: str, lora_r: int, tmp_path: Path) -> None:
    start = small_models.make_model(tmp_path / "start", kind)
    ids = torch.arange(90).view(2, 45)
    with torch.no_grad():
        assert not load_value(start)(ids).logits.any()
    settings: dict[str, Any] = {**FAST, "value_lr": 1e-1, "lora_r": lora_r, "packed": False}
    run = a_new_run(rollouts(), TrainConfig(model=str(start), epochs=1, **settings), tmp_path / "run")
    result = run.train(None)
    if lora_r:
        lora.switch(run.modules.models["value"], "value")
    again = load_value(result.output)
    with torch.no_grad():
        values = run.modules.models["value"](ids).logits
        assert values.std() > 0
        torch.testing.assert_close(again(ids).logits, values, rtol=1e-3, atol=1e-4)
        if not lora_r:
            body = AutoModel.from_pretrained(result.value)
            states = again.base_model(ids).last_hidden_state
            torch.testing.assert_close(body(ids).last_hidden_state, states, rtol=1e-4, atol=1e-5)
    log_of = [log(result.output), log(train_again(rollouts(), start, tmp_path / "packed", settings))]
    assert log_of[1][-1]["value_loss"] == pytest.approx(log_of[0][-1]["value_loss"], rel=1e-3)


def train_again(data: list[Any], start: Path, output: Path, settings: dict[str, Any]) -> Path:
    """With packed rows, where the kind can be packed."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return train(data, method="oreo", model=start, output=output, epochs=1, **{**settings, "packed": True}).output


@pytest.mark.parametrize("method", METHODS)
def test_every_method_lowers_its_own_loss(method: str, start: Path, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"epochs": 24, **fast(method), "batch_size": 12}
    train(rollouts(), method=method, model=start, output=tmp_path / "run", **settings)
    lines = log(tmp_path / "run")
    assert lines[-1]["loss"] < 0.8 * lines[0]["loss"]
    if method in ("dpo", "kto"):
        assert lines[0]["loss"] == pytest.approx(math.log(2) if method == "dpo" else 0.5, abs=1e-5)
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


def by_hand(start: Path, trajectories: list[Any], level: str) -> dict[str, dict[str, torch.Tensor]]:
    """Two OREO updates in the order of the paper (value first, then policy), all episodes in one batch."""
    policy, tokenizer = load_policy(start)
    reference, _ = load_policy(start)
    value = load_value(start)
    optimizers = [torch.optim.AdamW(m.parameters(), lr=1.0, betas=(0.9, 0.95), weight_decay=0) for m in (policy, value)]
    form = TurnFormat.from_tokenizer(tokenizer)
    for step in range(2):
        batch = collate([form.encode(trajectory) for trajectory in trajectories], 256)
        ids, mask = batch.input_ids, batch.action_mask
        ours, theirs = (model(ids).logits.log_softmax(-1)[:, :-1] for model in (policy, reference))
        theirs = theirs.detach()
        pad = torch.nn.functional.pad
        log_ratio = pad((ours - theirs).gather(-1, ids[:, 1:, None])[..., 0], (1, 0))
        kl = pad((ours.exp() * (ours - theirs)).sum(-1), (1, 0))
        values = pad(value(ids).logits[:, :-1, 0], (1, 0))
        on_value, _ = value_loss(values, log_ratio, batch.reward, mask, beta=0.03)
        on_policy, _ = policy_loss(
            values, log_ratio, batch.reward, mask, beta=0.03, level=level, step_start=batch.step_start
        )
        losses = (on_policy + 0.01 * trajectory_mean(kl, mask), on_value)
        for model, optimizer, loss in ((value, optimizers[1], losses[1]), (policy, optimizers[0], losses[0])):
            optimizer.zero_grad()
            loss.backward(retain_graph=True)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for optimizer in (optimizers[1], optimizers[0]):
            for group in optimizer.param_groups:
                group["lr"] = 1e-2 * schedule(step, 2, 0.03)
            optimizer.step()
    return {"policy": dict(policy.named_parameters()), "value": dict(value.named_parameters())}


@pytest.mark.parametrize("level", ["token", "response"])
def test_updates_are_those_of_the_paper_written_out_however_the_batch_is_cut(
    level: str, start: Path, tmp_path: Path
) -> None:
    trajectories = small_models.episodes()
    expected = by_hand(start, trajectories, level)
    for micro in (1, 80, 100_000):
        output = tmp_path / str(micro)
        settings = dict(batch_size=12, lr=1e-2, value_lr=1e-2, alpha=0.01, level=level, micro_tokens=micro)
        train(trajectories, method="oreo", model=start, output=output, epochs=2, **settings)
        for name, parameters in expected.items():
            for key, tensor in weights(output / name).items():
                # Adam divides by tiny second moments, so rounding shows where the gradient is next to nothing.
                torch.testing.assert_close(tensor, parameters[key].detach(), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("method", METHODS)
def test_cutting_a_batch_into_micro_batches_changes_the_gradient_by_rounding_only(
    method: str, start: Path, tmp_path: Path
) -> None:
    norms = []
    for micro in (1, 90, 100_000):
        output = tmp_path / str(micro)
        train(
            rollouts(),
            method=method,
            model=start,
            output=output,
            epochs=1,
            batch_size=12,
            micro_tokens=micro,
        )
        norms.append({k: v for k, v in log(output)[0].items() if "norm" in k or "loss" in k or k == "nll"})
    for other in norms[1:]:
        assert other == pytest.approx(norms[0], rel=1e-4)


def a_run(data: list[Any], start: Path, output: Path, micro: int, **settings: Any) -> Any:
    """A run before its first update, whose policy has left the reference already."""
    run = a_new_run(data, TrainConfig(model=str(start), micro_tokens=micro, **settings), output)
    random = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for model in run.modules.models.values():
            for parameter in model.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=random))
    return run


def gradient(run: Any, name: str = "policy") -> dict[str, torch.Tensor]:
    return {key: p.grad.clone() for key, p in run.modules.models[name].named_parameters() if p.grad is not None}


def log_ratio_of(run: Any, ids: Any, mask: Any) -> torch.Tensor:
    """Σ log π/π_ref over the action tokens of one sequence, from full logits of plain models with the run's weights."""
    ids, chosen = torch.as_tensor(ids)[None], torch.as_tensor(mask)[1:]
    plain, _ = load_policy(run.config.model)
    ours, theirs = (
        torch.func.functional_call(plain, dict(model.named_parameters()), (ids,)).logits.log_softmax(-1)
        for model in (run.modules.models["policy"], run.modules.reference.model)
    )
    return (ours - theirs)[0, :-1].gather(-1, ids[0, 1:, None])[chosen].sum()


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
        found = gradient(run)
        run.modules.models["policy"].zero_grad()
        expected = by_formula(run, method)
        expected.backward()
        assert metrics["loss"] == pytest.approx(expected.item(), rel=1e-5)
        if method == "kto":
            assert metrics["reference_point"] > 0
        for key, tensor in gradient(run).items():
            torch.testing.assert_close(found[key], tensor, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("method", METHODS)
def test_every_methods_gradient_is_the_same_however_the_batch_is_cut(method: str, start: Path, tmp_path: Path) -> None:
    extra: dict[str, Any] = {"lambda_": 0.5} if method in WITH_VALUE else {}
    found = []
    for micro in (1, 90, 100_000):
        run = a_run(rollouts(), start, tmp_path, micro, method=method, **extra)
        run.backward(range(len(run.rows.examples)))
        found.append({(name, key): g for name in run.modules.models for key, g in gradient(run, name).items()})
    for other in found[1:]:
        for key, tensor in found[0].items():
            torch.testing.assert_close(other[key], tensor, rtol=1e-3, atol=1e-5 * float(tensor.abs().max()) + 1e-7)


def test_dpo_begins_by_pulling_up_the_won_and_pushing_down_the_lost_with_half_of_beta(
    start: Path, tmp_path: Path
) -> None:
    run = a_new_run(rollouts(), TrainConfig(method="dpo", model=str(start)), tmp_path)
    run.backward([3])
    found = gradient(run)
    run.modules.models["policy"].zero_grad()
    (won,), (lost,) = run.rows.examples[3].trajectories
    difference = log_ratio_of(run, won.input_ids, won.action_mask) - log_ratio_of(run, lost.input_ids, lost.action_mask)
    (-0.1 / 2 * difference).backward()
    for key, tensor in gradient(run).items():
        torch.testing.assert_close(found[key], tensor, rtol=1e-3, atol=1e-6)


def test_dqo_has_oreos_loss_without_kl_and_another_gradient(start: Path, tmp_path: Path) -> None:
    runs = {
        name: a_run(rollouts(), start, tmp_path, 1000, method=name, **settings)
        for name, settings in {"dqo": {}, "oreo": {"alpha": 0.0}}.items()
    }
    metrics = {name: run.backward(range(12))[0] for name, run in runs.items()}
    assert metrics["dqo"] == pytest.approx(metrics["oreo"]) and metrics["dqo"]["kl"] > 0
    values, policies = ([gradient(run, name) for run in runs.values()] for name in ("value", "policy"))
    assert all(torch.equal(values[0][key], values[1][key]) for key in values[0])
    assert not any(torch.allclose(policies[0][key], policies[1][key]) for key in policies[0])


# Which rewards, and which episodes.


def test_rewards_are_as_stored_or_one_at_the_end_by_the_outcome() -> None:
    dense = dataclasses.replace(
        small_models.episodes()[5],
        steps=tuple(dataclasses.replace(s, reward=0.25) for s in small_models.episodes()[5].steps),
    )
    assert len(dense) == 2 and dense.won
    lost = dataclasses.replace(dense, won=False)
    for reward, expected, when_lost in (
        ("stored", [0.25, 0.25], [0.25, 0.25]),
        ("success", [0.0, 1.0], [0.0, 0.0]),
        ("signed", [0.0, 1.0], [0.0, -1.0]),
    ):
        assert [step.reward for step in with_reward(dense, reward).steps] == expected
        assert [step.reward for step in with_reward(lost, reward).steps] == when_lost


def test_rewards_and_selection_reach_the_batch_whatever_the_order_of_the_data(start: Path, tmp_path: Path) -> None:
    data = rollouts()
    config = TrainConfig(method="oreo", model=str(start), reward="signed", balance="game", samples_per_game=3)
    run = a_new_run(data, config, tmp_path)
    assert [(example.name, example.won) for example in run.rows.examples] == [
        (f"game {game}", won) for game in range(4) for won in (True, False)
    ]
    assert [float(example.pieces[0].reward.sum()) for example in run.rows.examples] == [1.0, -1.0] * 4
    assert a_new_run(data[::-1], config, tmp_path).identity == run.identity
    other = dataclasses.replace(config, reward="success")
    assert a_new_run(data, other, tmp_path).identity != run.identity


def test_dpo_pairs_are_drawn_from_what_was_selected(start: Path, tmp_path: Path) -> None:
    def rows(**settings: Any) -> list[str]:
        return [e.name for e in a_new_run(rollouts(), TrainConfig(**fixed, **settings), tmp_path).rows.examples]

    fixed: dict[str, Any] = dict(method="dpo", model=str(start))
    games = [f"game {game}" for game in range(4)]
    assert rows() == sorted(games * 2) and rows(pairs_per_game=1) == rows(balance="game") == games
    with pytest.raises(DataError, match="no game has both"):
        train(small_models.episodes(), output=tmp_path / "run", **fixed)


def test_step_level_trains_values_at_step_starts_only(start: Path, tmp_path: Path) -> None:
    train(small_models.episodes(), method="oreo", level="step", model=start, output=tmp_path / "run", epochs=1, **FAST)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["alpha"] == 0.1
    assert log(tmp_path / "run")[-1]["policy_loss"] >= 0


def test_bfloat16_computes_and_saves_float32(start: Path, tmp_path: Path) -> None:
    result = train(small_models.episodes(), model=start, output=tmp_path / "run", epochs=1, bf16=True, **FAST)
    assert all(tensor.dtype == torch.float32 for tensor in weights(result.policy).values())
    train(small_models.episodes(), model=start, output=tmp_path / "again", epochs=1, **FAST)


def test_turns_not_to_be_imitated_are_skipped_by_imitation(start: Path, tmp_path: Path) -> None:
    def noisy(episode: Any, word: str) -> Any:
        steps = tuple(
            dataclasses.replace(step, action=word, imitate=False) if index == 0 and len(episode) > 1 else step
            for index, step in enumerate(episode.steps)
        )
        return dataclasses.replace(episode, steps=steps)

    _, tokenizer = load_policy(start)
    form = TurnFormat.from_tokenizer(tokenizer)
    episodes = [noisy(episode, "zz") for episode in small_models.episodes()]
    for example in encode_all(episodes, form, rows=RowKind.TURNS, max_length=None, overlong="refuse"):
        [piece] = example.pieces
        text = tokenizer.decode(piece.input_ids[piece.imitate])
        assert "z" not in text and text
    alone = [dataclasses.replace(e, steps=(dataclasses.replace(e.steps[0], imitate=False),)) for e in episodes]
    with pytest.raises(DataError, match="no|none"):
        train(alone, method="sft", model=start, output=tmp_path / "run")


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


def test_ctrl_c_during_an_update_waits_until_the_update_is_whole() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), oreo.training.interrupts.uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("update")
    assert done == ["update"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("left", [None, [], [".half-config.json"]], ids=["nothing", "a folder", "half a file"])
def test_resuming_begins_where_a_kill_left_nothing_to_go_on_from(
    left: list[str] | None, start: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = dict(method="sft", model=start, epochs=1, **fast("sft"))
    whole = train(small_models.episodes(), output=tmp_path / "whole", **settings)
    output = tmp_path / "run"
    if left is not None:
        output.mkdir()
        for name in left:
            (output / name).write_text('{"meth')
    with pytest.warns(UserWarning, match="run holds nothing to resume yet: the run begins"):
        result = train(small_models.episodes(), output=output, resume=True, **settings)
    for key, tensor in weights(whole.policy).items():
        assert torch.equal(tensor, weights(result.policy)[key])
    assert {path.name for path in output.iterdir()} == {"policy", "config.json", "log.jsonl"}


def test_resuming_something_else_says_what_differs(start: Path, tmp_path: Path) -> None:
    def stop(line: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    settings: dict[str, Any] = dict(method="sft", model=start, output=tmp_path / "run", epochs=1, **fast("sft"))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").touch()
    with pytest.raises(UsageError, match="no run to resume"):
        train(small_models.episodes(), resume=True, **(settings | dict(output=tmp_path / "other")))
    with pytest.raises(UsageError, match="no run to resume"):
        train(small_models.episodes(), resume=True, **(settings | dict(output=tmp_path / "other" / "notes.txt")))
    with pytest.raises(KeyboardInterrupt):
        train(small_models.episodes(), on_step=stop, **settings)
    with pytest.raises(UsageError, match="not empty"):
        train(small_models.episodes(), **settings)
    with pytest.raises(UsageError, match=r"lr: 0.01 then, 0.02 now; seed: 0 then, 5 now"):
        train(small_models.episodes(), resume=True, **(settings | dict(lr=0.02, seed=5)))
    with pytest.raises(UsageError, match="training data changed"):
        train(small_models.episodes(13), resume=True, **settings)
    assert (tmp_path / "run" / "checkpoint" / "step-00000001").is_dir()


def not_finite_at(update: int, monkeypatch: Any) -> None:
    """Imitation's loss is NaN in one update of single micro-batches."""
    plain, calls = oreo.training.methods.sft.nll_loss, []

    def breaks(*args: Any) -> Any:
        calls.append(args)
        loss, metrics = plain(*args)
        return (loss * math.nan, metrics) if len(calls) == update else (loss, metrics)

    monkeypatch.setattr(oreo.training.methods.sft, "nll_loss", breaks)


@pytest.mark.parametrize("save_every", [0, 1])
def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_its_batch_and_the_weights_from_before(
    save_every: int, start: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    settings: dict[str, Any] = dict(method="sft", model=start, epochs=1, save_every=save_every, **fast("sft"))
    whole = train(small_models.episodes(), output=tmp_path / "whole", **settings)
    output = tmp_path / "run"
    not_finite_at(3, monkeypatch)
    with pytest.raises(NonFiniteLoss, match="loss not finite at update 3; its batch .* --resume .* lower lr") as error:
        train(small_models.episodes(), output=output, **settings)
    saved = load_file(output / "nonfinite-step-00000003" / "batch.safetensors")
    assert saved["input_ids"].shape[0] == 2
    [good] = (output / "checkpoint").iterdir()
    assert f"{good / 'policy'} " in str(error.value) and "\n" not in str(error.value)
    monkeypatch.undo()
    # From there a new run can start, and the cause gone, this one goes on as if nothing had been.
    again = train(small_models.episodes(), output=tmp_path / "new", **settings | dict(model=good / "policy", lr=1e-3))
    assert again.steps == 3
    resumed = train(small_models.episodes(), output=output, resume=True, **settings)
    for key, tensor in weights(whole.policy).items():
        assert torch.equal(tensor, weights(resumed.policy)[key])


def test_a_first_loss_that_is_not_finite_is_not_blamed_on_the_learning_rate(
    start: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    not_finite_at(1, monkeypatch)
    with pytest.raises(NonFiniteLoss, match="update 1; .* a lower lr will not help"):
        train(small_models.episodes(), method="sft", model=start, output=tmp_path / "run", **fast("sft"))
    assert not (tmp_path / "run" / "checkpoint").exists()


# Wrong input, one line each.


def test_data_that_cannot_be_trained_on_gives_one_clear_line(start: Path, tmp_path: Path) -> None:
    lost = [episode for episode in small_models.episodes() if not episode.won]
    for data, method, message in (
        ([], "oreo", "no trajectories"),
        (lost, "rejection", "none of the 4 trajectories is won"),
        ([dataclasses.replace(lost[0], steps=())], "oreo", "no|none"),
    ):
        with pytest.raises(DataError, match=message) as error:
            train(data, method=method, model=start, output=tmp_path / "run")
        assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_overlong_trajectories_are_refused_split_or_dropped_but_never_cut(start: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="more than the 30 allowed"):
        train(small_models.episodes(), model=start, output=tmp_path / "run", max_length=30)
    form = TurnFormat.from_tokenizer(load_policy(start)[1])
    for overlong in ("split", "drop"):
        with pytest.warns(UserWarning, match=f"of 12 trajectories have more than 30 tokens and were {overlong}"):
            examples = encode_all(
                small_models.episodes(), form, rows=RowKind.TRAJECTORIES, max_length=30, overlong=overlong
            )
        assert max(len(piece) for example in examples for piece in example.pieces) <= 30
        turns = sum(int(piece.step_start.sum()) for example in examples for piece in example.pieces)
        assert (turns == sum(len(episode) for episode in small_models.episodes())) == (overlong == "split")
    long = dataclasses.replace(
        small_models.episodes()[1], steps=tuple(s for e in small_models.episodes(100) for s in e.steps), won=True
    )
    with pytest.raises(DataError, match="more than the 256 allowed"):  # positions of the model
        train([long], model=start, output=tmp_path / "run")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(method="dpp"), "dpo"),
        (dict(level="turn"), "token, step, response"),
        (dict(learning_rate=1.0), "unknown training option 'learning_rate'"),
        (dict(batch_size=0), "batch_size is 0"),
        (dict(lr=math.nan), "lr is nan"),
        (dict(beta=0.0), "beta"),
        (dict(epochs=0), "nothing to train"),
        (dict(method="dpo", beta=0.0), "beta"),
        (dict(lambda_=1.5), "lambda_ is 1.5; expected a number from 0 to 1"),
        (dict(lambda_=-0.5), "lambda_ is -0.5"),
        (dict(level="response", lambda_=0.9), "nothing to mix"),
        (dict(reward="sucess"), "success"),
        (dict(balance="games"), "game"),
        (dict(method="sft", lambda_=0.5), "lambda_ means nothing to method 'sft'"),
        (dict(method="dqo", level="step"), "level means nothing to method 'dqo'"),
        (dict(method="dqo", alpha=0.1), "dqo has no KL term"),
        (dict(method="kto", pairs_per_game=5), "pairs_per_game means nothing to method 'kto'"),
        (dict(method="dpo", pairs_per_game=0), "pairs_per_game is 0"),
        (dict(method="rejection", balance="all"), "balance means nothing"),
        (dict(method="sft", alpha=0.5), r"alpha means nothing to method 'sft'; leave it out \(it is for oreo, dqo\)"),
        (dict(method="sft", beta=3.0), "beta means nothing to method 'sft'"),
        (dict(method="rejection", value_lr=1.0), "value_lr means nothing to method 'rejection'"),
        (dict(method="dpo", value_warmup_epochs=1), "value_warmup_epochs means nothing to method 'dpo'"),
        (dict(method="dpo", value_model="tiny"), "value_model means nothing to method 'dpo'"),
        (dict(method="kto", alpha=0.1), "alpha means nothing to method 'kto'"),
        (dict(recipe="dpo-alfworld", alpha=0.1), "alpha means nothing to method 'dpo'"),
        # Types.
        (dict(bf16="no"), "bf16 is 'no'; expected true or false"),
        (dict(packed=1), "packed is 1; expected true or false"),
        (dict(epochs=1.5), "epochs is 1.5; expected a whole number"),
        (dict(batch_size=2.5), "batch_size is 2.5; expected a whole number"),
        (dict(lora_r=True), "lora_r is True; expected a whole number"),
        (dict(seed="x"), "seed is 'x'; expected a whole number"),
        (dict(micro_tokens="4k"), "micro_tokens is '4k'; expected a whole number"),
        (dict(lr="abc"), "lr is 'abc'; expected a finite number"),
        (dict(lr=math.inf), "lr is inf; expected a finite number"),
        (dict(beta=math.inf), "beta is inf; expected a finite number"),
        (dict(weight_decay=False), "weight_decay is False; expected a finite number"),
        (dict(instruction=3), "instruction is 3; expected text"),
        (dict(level=3), "level is 3; expected text"),
        (dict(recipe="oreo-alfworld", level=["token"]), r"level is \['token'\]; expected text"),
        (dict(recipe=3), "recipe is 3; expected text"),
        (dict(trackers=3), "trackers is 3; expected a list, each text"),
        (dict(trackers=["tensorboard", 3]), "expected a list, each text"),
        (dict(adam_betas=0.9), "adam_betas is 0.9; expected a list of 2 numbers"),
        (dict(adam_betas=[0.9, 0.9, 0.9]), "expected a list of 2 numbers"),
        (dict(adam_betas=[0.9, "0.95"]), "expected a list of 2 numbers"),
        # Ranges.
        (dict(adam_betas=[0.9, 1.5]), r"adam_betas is \[0.9, 1.5\]; expected two numbers from 0 to below 1"),
        (dict(warmup=5), "warmup is 5; expected a number from 0 to 1"),
        (dict(seed=-1), "seed is -1; expected a number from 0 to"),
    ],
)
def test_wrong_options_give_one_clear_line(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message) as error:
        train([], output=tmp_path / "run", **fields)
    assert "\n" not in str(error.value)


def test_a_step_that_alone_is_too_long_to_split_says_what_would_help(start: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match='alone has .* tokens, 9 allowed.* raise max_length, or choose overlong="drop"'):
        train(small_models.episodes(), model=start, output=tmp_path / "run", max_length=9, overlong="split")


# Pieces.


def test_defaults_are_the_papers() -> None:
    oreo_, sft, rejection = (TrainConfig(method=method) for method in ("oreo", "sft", "rejection"))
    assert (oreo_.lr, oreo_.value_lr, oreo_.epochs, oreo_.alpha, oreo_.beta) == (5e-6, 5e-6, 3, 0.01, 0.03)
    assert (sft.lr, sft.epochs, rejection.lr, rejection.epochs) == (2e-5, 2, 2e-5, 1)
    assert [TrainConfig(level=level).alpha for level in ("token", "step", "response")] == [0.01, 0.1, 0.3]
    assert (oreo_.batch_size, oreo_.warmup, oreo_.adam_betas, oreo_.max_grad_norm) == (128, 0.03, (0.9, 0.95), 1.0)
    dpo, kto, dqo = (TrainConfig(method=method) for method in ("dpo", "kto", "dqo"))
    assert (dpo.lr, dpo.epochs, dpo.beta, dpo.pairs_per_game) == (5e-7, 1, 0.1, 5)
    assert (kto.lr, kto.epochs, kto.beta, kto.desirable_weight, kto.undesirable_weight) == (5e-8, 1, 0.1, 1.0, 1.0)
    assert (dqo.lr, dqo.epochs, dqo.beta, dqo.alpha, dqo.lambda_) == (5e-6, 3, 0.03, 0.0, 1.0)
    for config in (dpo, kto, dqo):
        assert TrainConfig(**config.to_dict()) == config
    assert TrainConfig(**oreo_.to_dict()) == oreo_ and not oreo_.differences(json.loads(json.dumps(oreo_.to_dict())))


def test_every_default_fits_its_own_type_and_range_and_numbers_may_be_whole() -> None:
    for method in METHODS:
        assert TrainConfig(**TrainConfig(method=method).to_dict()) == TrainConfig(method=method)
    whole = TrainConfig(lr=1, beta=2, alpha=0, warmup=1, adam_betas=[0, 0.5], trackers="tensorboard")
    assert (whole.lr, whole.adam_betas, whole.trackers) == (1, (0, 0.5), ("tensorboard",))


def test_a_run_stored_with_settings_that_its_method_does_not_know_is_resumed() -> None:
    before = TrainConfig(method="sft").to_dict() | {"value_lr": 5e-6, "alpha": 0.01}
    assert TrainConfig(method="sft").differences(before) == []
    assert TrainConfig(method="oreo").differences(before)[0] == "method: 'sft' then, 'oreo' now"


def test_a_run_begun_before_an_option_existed_is_resumed_with_its_default() -> None:
    stored = {name: value for name, value in TrainConfig().to_dict().items() if name not in ("lambda_", "balance")}
    assert not TrainConfig().differences(stored)
    assert TrainConfig(lambda_=0.5).differences(stored) == ["lambda_: 1.0 then, 0.5 now"]


def test_the_learning_rate_rises_and_then_falls_as_a_cosine() -> None:
    rates = [schedule(step, 100, 0.03) for step in range(100)]
    assert rates[:4] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert rates[3:] == sorted(rates[3:], reverse=True) and 0 < rates[-1] < 1e-3
    assert schedule(0, 1, 0.03) == 1.0 and schedule(0, 5, 0.0) == 1.0


def test_every_epoch_is_a_permutation_of_its_own() -> None:
    orders = [epoch_order(50, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4 and epoch_order(50, seed=1, epoch=1) == orders[3]


def test_epochs_of_whole_games_are_permutations_of_games_and_within_them() -> None:
    games = ["a", "b", "a", "c", "b", "a", "c"]
    orders = [epoch_order(7, seed=0, epoch=epoch, games=games) for epoch in range(40)]
    for order in orders:
        assert sorted(order) == list(range(7))
        runs = [game for game, _ in itertools.groupby(order, key=games.__getitem__)]
        assert sorted(runs) == ["a", "b", "c"]
    assert len({tuple(games[row] for row in order) for order in orders}) == 6
    assert len({tuple(row for row in order if games[row] == "a") for order in orders}) == 6


def test_a_share_of_the_rows_has_whole_games_and_about_as_many_tokens_as_others() -> None:
    lengths = [[10], [20], [30], [40], [50], [60], [70]]
    games = ["a", "b", "a", "c", "d", "b", "e"]
    shares = share_out(range(7), lengths, games, 2)
    assert sorted(row for share in shares for row in share) == list(range(7))
    assert not {games[row] for row in shares[0]} & {games[row] for row in shares[1]}
    tokens = [sum(lengths[row][0] for row in share) for share in shares]
    assert max(tokens) - min(tokens) <= 80, "the largest game"


def test_samples_of_a_game_stand_in_one_micro_batch_where_rows_are_packed() -> None:
    lengths, games = [[40], [35], [20]], ["a", "b", "a"]
    assert micro_batches(range(3), lengths, 62, games=games, packed=True) == [[0, 2], [1]]
    assert micro_batches(range(3), [[60], [35], [20]], 62, games=games) == [[0], [1], [2]]
    assert micro_batches(range(3), lengths, 70, games=games) == [[0], [1, 2]]


def test_prompts_that_samples_share_are_computed_once_in_updates_of_whole_games(start: Path, tmp_path: Path) -> None:
    task = "A long task that is told to everybody who plays this game."
    steps = [Step(task, f"turn {n}", reward=float(n % 2)) for n in range(20)]
    games = [f"game {index // 4}" for index in range(20)]
    data = [
        Trajectory("test", (step,), "", True, False, index % 2 > 0, game=game)
        for index, (step, game) in enumerate(zip(steps, games, strict=True))
    ]
    tokens = {}
    for together in (False, True):
        config = TrainConfig(model=str(start), batch_size=4, games_together=together)
        run = a_new_run(data, config, tmp_path)
        rows = [run.rows.of(index) for index in range(5)]
        assert sorted(row for each in rows for row in each) == list(range(20))
        batches = [
            run._batch([run.rows.examples[row] for row in group])
            for each in rows
            for group in run.micro_batching.groups(each, run.rows.lengths, run.rows.games)
        ]
        tokens[together] = sum(batch.packing.input_ids.numel() for batch in batches)
        assert all(len({games[row] for row in each}) == 1 for each in rows) == together
    assert tokens[True] < tokens[False]


@pytest.mark.parametrize("settings", [{}, {"lambda_": 0.5}, {"level": "step"}, {"level": "response"}])
@pytest.mark.filterwarnings("ignore:.*were split")
def test_a_trajectory_in_pieces_is_one_row_with_all_its_returns_and_log_ratios(
    settings: dict[str, Any], start: Path, tmp_path: Path
) -> None:
    config: dict[str, Any] = dict(method="oreo", max_length=40, overlong="split", alpha=0.3, **settings)
    for micro in (1, 100_000):
        run = a_run(rollouts(), start, tmp_path, micro, **config)
        assert len(run.rows.examples) == len(rollouts()) and max(map(len, run.rows.lengths)) > 1
        metrics, seen = run.backward(range(len(run.rows.examples)))
        assert len(seen) == len(run.rows.examples)
        found = {(name, key): each for name in run.modules.models for key, each in gradient(run, name).items()}
        for model in run.modules.models.values():
            model.zero_grad()
        plain, critic = load_policy(start)[0], load_value(start)
        total = 0.0
        for example in run.rows.examples:
            terms = []
            for piece in example.pieces:
                ids, acted = torch.as_tensor(piece.input_ids)[None], torch.as_tensor(piece.action_mask)[1:]
                ours, theirs, values = (
                    torch.func.functional_call(body, dict(model.named_parameters()), (ids,)).logits[0, :-1][acted]
                    for body, model in (
                        (plain, run.modules.models["policy"]),
                        (plain, run.modules.reference.model),
                        (critic, run.modules.models["value"]),
                    )
                )
                ours, theirs = ours.log_softmax(-1), theirs.detach().log_softmax(-1)
                ratio = (ours - theirs).gather(-1, ids[0, 1:][acted][:, None])[:, 0]
                kl = (ours.exp() * (ours - theirs)).sum(-1)
                others = (torch.as_tensor(each)[1:][acted] for each in (piece.reward, piece.step_start))
                terms.append((values[:, 0], ratio, kl, *others))
            value, ratio, kl, reward, begins = (torch.cat(column)[None] for column in zip(*terms, strict=True))
            mask = torch.ones_like(begins)
            how = {"beta": 0.03, "lambda_": settings.get("lambda_", 1.0)}
            states = merge_steps(ratio, reward, mask, begins) if "step" in settings.values() else (ratio, reward, mask)
            level = settings.get("level", "token")
            total += value_loss(value, *states, **how)[0] + 0.3 * kl.mean()
            total += policy_loss(value, ratio, reward, mask, level=level, step_start=begins, **how)[0]
        (total / len(run.rows.examples)).backward()
        assert metrics["loss"] == pytest.approx(total.item() / len(run.rows.examples), rel=1e-4)
        for (name, key), tensor in found.items():
            expected = gradient(run, name)[key]
            torch.testing.assert_close(tensor, expected, rtol=1e-3, atol=1e-5 * float(expected.abs().max()) + 1e-7)


def test_micro_batches_hold_every_row_once_within_their_tokens() -> None:
    lengths = [5, 90, 17, 17, 200, 3, 8]
    groups = micro_batches(range(7), [[length] for length in lengths], 100)
    assert sorted(row for group in groups for row in group) == list(range(7))
    assert groups[0] == [4] and all(len(g) * max(lengths[r] for r in g) <= 100 for g in groups[1:])
    counts = [2, 2, 3, 2, 2, 4, 2]
    several = [[length] * count for length, count in zip(lengths, counts, strict=True)]
    assert micro_batches(range(7), several, 100) == [[4], [1], [2, 3], [6, 0, 5]]


def test_micro_batches_of_packed_rows_are_as_large_as_their_tokens() -> None:
    lengths = [[60, 10], [50], [20], [8, 8], [7]]
    assert micro_batches(range(5), lengths, 100) == [[0], [1, 2], [3, 4]]
    assert micro_batches(range(5), lengths, 100, packed=True) == [[0], [1, 2, 3, 4]]


def test_auc_is_the_share_of_pairs_in_order() -> None:
    assert auc([0.1, 0.9, 0.5, 0.5], [False, True, True, False]) == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert auc([1.0, 2.0], [True, True]) is None
