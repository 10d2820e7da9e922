"""oreo.trainer, config, batches and checkpoint on small random models: laws of the loop, not of learning."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoModelForTokenClassification

import oreo.trainer
from oreo.batches import collate, encode_all, epoch_order, micro_batches
from oreo.buffer import TrajectoryBuffer
from oreo.config import TrainConfig
from oreo.encoding import TurnFormat
from oreo.errors import DataError, UsageError
from oreo.losses import policy_loss, trajectory_mean, value_loss
from oreo.models import digest, load_policy, load_value
from oreo.trainer import NonFiniteLoss, auc, schedule, train

torch.set_num_threads(1)
FAST = dict(batch_size=5, lr=1e-2, value_lr=1e-2)


@pytest.fixture(scope="session")
def start(small: Any, tmp_path_factory: Any) -> Path:
    return small.make_model(tmp_path_factory.mktemp("start") / "model")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_file(folder / "model.safetensors")


def log(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


# What comes out.


@pytest.mark.parametrize("kind", ["llama", "qwen2", "gpt2"])
@pytest.mark.parametrize("method", ["sft", "rejection", "oreo"])
def test_every_method_trains_every_kind_of_model_into_folders_that_plain_transformers_loads(
    method: str, kind: str, small: Any, tmp_path: Path
) -> None:
    model, output = small.make_model(tmp_path / "start", kind), tmp_path / "run"
    lines: list[dict[str, Any]] = []
    result = train(small.episodes(), method=method, model=model, output=output, epochs=2, on_step=lines.append, **FAST)
    count = 8 if method == "rejection" else 12
    assert result.steps == len(lines) == 2 * math.ceil(count / 5)
    assert result.metrics == log(output)[-1] == {k: v for k, v in lines[-1].items() if k != "steps"}
    assert result.policy == output / "policy" and (result.value == output / "value") == (method == "oreo")
    assert digest(result.policy) != digest(model)
    AutoModelForCausalLM.from_pretrained(result.policy)
    if result.value:
        assert AutoModelForTokenClassification.from_pretrained(result.value).num_labels == 1
    left = {path.name for path in output.iterdir()}
    assert left == {"policy", "config.json", "log.jsonl"} | ({"value"} if method == "oreo" else set())
    stored = json.loads((output / "config.json").read_text())
    assert stored["method"] == method and stored["lr"] == 1e-2 and stored["run"]["start"] == digest(model)


def test_imitation_learns_its_data(start: Path, small: Any, tmp_path: Path) -> None:
    train(small.episodes(), method="sft", model=start, output=tmp_path / "run", epochs=8, **FAST)
    lines = log(tmp_path / "run")
    assert lines[-1]["nll"] < 0.5 * lines[0]["nll"]


def test_the_value_learns_the_outcome_and_the_policy_waits_for_it(start: Path, small: Any, tmp_path: Path) -> None:
    result = train(
        small.episodes(), method="oreo", model=start, output=tmp_path / "run", epochs=1, value_warmup_epochs=7, **FAST
    )
    lines = log(tmp_path / "run")
    assert [line["phase"] for line in lines] == ["value"] * 21 + ["oreo"] * 3
    assert lines[0]["value_loss"] == pytest.approx(lines[0]["value_target"])  # V = 0, R is 0 or 1
    assert lines[20]["value_loss"] < 0.5 * lines[0]["value_loss"]
    assert lines[20]["auc_middle"] is not None
    assert "kl" not in lines[20] and lines[21]["kl"] == pytest.approx(0, abs=1e-6) and lines[-1]["kl"] > 0
    assert digest(result.policy) != digest(start)


def test_a_buffer_is_trained_on_by_its_path(start: Path, small: Any, tmp_path: Path) -> None:
    with TrajectoryBuffer(tmp_path / "buffer") as buffer:
        buffer.extend(small.episodes())
    by_path = train(tmp_path / "buffer", method="sft", model=start, output=tmp_path / "one", **FAST)
    by_list = train(small.episodes(), method="sft", model=start, output=tmp_path / "two", **FAST)
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
    level: str, start: Path, small: Any, tmp_path: Path
) -> None:
    trajectories = small.episodes()
    expected = by_hand(start, trajectories, level)
    for micro in (1, 80, 100_000):
        output = tmp_path / str(micro)
        settings = dict(batch_size=12, lr=1e-2, value_lr=1e-2, alpha=0.01, level=level, micro_tokens=micro)
        train(trajectories, method="oreo", model=start, output=output, epochs=2, **settings)
        for name, parameters in expected.items():
            for key, tensor in weights(output / name).items():
                # Adam divides by tiny second moments, so rounding shows where the gradient is next to nothing.
                torch.testing.assert_close(tensor, parameters[key].detach(), rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize("method", ["sft", "oreo"])
def test_cutting_a_batch_into_micro_batches_changes_the_gradient_by_rounding_only(
    method: str, start: Path, small: Any, tmp_path: Path
) -> None:
    norms = []
    for micro in (1, 90, 100_000):
        output = tmp_path / str(micro)
        train(small.episodes(), method=method, model=start, output=output, epochs=1, batch_size=12, micro_tokens=micro)
        norms.append({k: v for k, v in log(output)[0].items() if "norm" in k or "loss" in k or k == "nll"})
    for other in norms[1:]:
        assert other == pytest.approx(norms[0], rel=1e-4)


def test_step_level_trains_values_at_step_starts_only(start: Path, small: Any, tmp_path: Path) -> None:
    train(small.episodes(), method="oreo", level="step", model=start, output=tmp_path / "run", epochs=1, **FAST)
    assert json.loads((tmp_path / "run" / "config.json").read_text())["alpha"] == 0.1
    assert log(tmp_path / "run")[-1]["policy_loss"] >= 0


def test_bfloat16_computes_and_saves_float32(start: Path, small: Any, tmp_path: Path) -> None:
    result = train(small.episodes(), model=start, output=tmp_path / "run", epochs=1, bf16=True, **FAST)
    assert all(tensor.dtype == torch.float32 for tensor in weights(result.policy).values())
    train(small.episodes(), model=start, output=tmp_path / "again", epochs=1, **FAST)


def test_turns_not_to_be_imitated_are_skipped_by_imitation(start: Path, small: Any, tmp_path: Path) -> None:
    def noisy(episode: Any, word: str) -> Any:
        steps = tuple(
            dataclasses.replace(step, action=word, imitate=False) if index == 0 and len(episode) > 1 else step
            for index, step in enumerate(episode.steps)
        )
        return dataclasses.replace(episode, steps=steps)

    _, tokenizer = load_policy(start)
    form = TurnFormat.from_tokenizer(tokenizer)
    episodes = [noisy(episode, "zz") for episode in small.episodes()]
    for example in encode_all(episodes, form, method="sft", max_length=None, overlong="refuse"):
        text = tokenizer.decode(example.encoded.input_ids[example.encoded.imitate])
        assert "z" not in text and text
    alone = [dataclasses.replace(e, steps=(dataclasses.replace(e.steps[0], imitate=False),)) for e in episodes]
    with pytest.raises(DataError, match="no|none"):
        train(alone, method="sft", model=start, output=tmp_path / "run")


# Interruption.


@pytest.mark.parametrize("method", ["sft", "oreo"])
def test_an_interrupted_and_resumed_run_ends_with_the_same_bits(
    method: str, start: Path, small: Any, tmp_path: Path
) -> None:
    settings: dict[str, Any] = dict(method=method, model=start, epochs=2, **FAST)
    if method == "oreo":
        settings["value_warmup_epochs"] = 1
    whole = train(small.episodes(), output=tmp_path / "whole", **settings)

    def stop_at(step: int) -> Any:
        def on_step(line: dict[str, Any]) -> None:
            if line["step"] == step:
                raise KeyboardInterrupt

        return on_step

    output = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train(small.episodes(), output=output, on_step=stop_at(2), **settings)
    assert [path.name for path in (output / "checkpoint").iterdir()] == ["step-00000002"]
    with pytest.raises(KeyboardInterrupt):
        train(small.episodes(), output=output, on_step=stop_at(4), resume=True, **settings)
    resumed = train(small.episodes(), output=output, resume=True, **settings)
    for name in ("policy", "value"):
        if (whole.output / name).exists():
            for key, tensor in weights(whole.output / name).items():
                assert torch.equal(tensor, weights(resumed.output / name)[key]), key
    timeless = [
        [
            {k: v for k, v in line.items() if not any(word in k for word in ("second", "auc", "start"))}
            for line in log(x)
        ]
        for x in (whole.output, output)
    ]
    assert timeless[0] == timeless[1]
    again = train(small.episodes(), output=output, resume=True, **settings)
    assert again == resumed and not (output / "checkpoint").exists()


def test_a_killed_run_goes_on_from_its_last_checkpoint(start: Path, small: Any, tmp_path: Path) -> None:
    class Killed(BaseException):
        """Like a kill, it gives no chance to save."""

    def on_step(line: dict[str, Any]) -> None:
        if line["step"] == 3:
            raise Killed

    settings: dict[str, Any] = dict(method="sft", model=start, epochs=2, **FAST)
    whole = train(small.episodes(), output=tmp_path / "whole", **settings)
    output = tmp_path / "run"
    with pytest.raises(Killed):
        train(small.episodes(), output=output, on_step=on_step, save_every=2, **settings)
    # What a kill in the middle of saving leaves behind is ignored, and half a log line too.
    (output / "checkpoint" / ".step-00000003.new-1").mkdir()
    with (output / "log.jsonl").open("a") as opened:
        opened.write('{"step": 4, "ep')
    train(small.episodes(), output=output, resume=True, save_every=3, **settings)
    assert [line["step"] for line in log(output)] == list(range(1, 7))
    for key, tensor in weights(whole.policy).items():
        assert torch.equal(tensor, weights(output / "policy")[key])


def test_ctrl_c_during_an_update_waits_until_the_update_is_whole() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), oreo.trainer._uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("update")
    assert done == ["update"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_resuming_something_else_says_what_differs(start: Path, small: Any, tmp_path: Path) -> None:
    def stop(line: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    settings: dict[str, Any] = dict(method="sft", model=start, output=tmp_path / "run", epochs=1, **FAST)
    with pytest.raises(UsageError, match="no run to resume"):
        train(small.episodes(), resume=True, **settings)
    with pytest.raises(KeyboardInterrupt):
        train(small.episodes(), on_step=stop, **settings)
    with pytest.raises(UsageError, match="not empty"):
        train(small.episodes(), **settings)
    with pytest.raises(UsageError, match=r"lr: 0.01 then, 0.02 now; seed: 0 then, 5 now"):
        train(small.episodes(), resume=True, **(settings | dict(lr=0.02, seed=5)))
    with pytest.raises(UsageError, match="training data changed"):
        train(small.episodes(13), resume=True, **settings)
    assert (tmp_path / "run" / "checkpoint" / "step-00000001").is_dir()


def test_a_loss_that_is_not_finite_stops_the_run_and_keeps_its_batch(
    start: Path, small: Any, tmp_path: Path, monkeypatch: Any
) -> None:
    plain = oreo.trainer.nll_loss
    calls = []

    def breaks_the_second_time(*args: Any) -> Any:
        calls.append(args)
        loss, metrics = plain(*args)
        return (loss * math.nan, metrics) if len(calls) == 2 else (loss, metrics)

    monkeypatch.setattr(oreo.trainer, "nll_loss", breaks_the_second_time)
    settings: dict[str, Any] = dict(method="sft", model=start, output=tmp_path / "run", epochs=1, save_every=1)
    with pytest.raises(NonFiniteLoss, match="loss not finite at update 2"):
        train(small.episodes(), **settings, **FAST)
    saved = load_file(tmp_path / "run" / "nonfinite-step-00000002" / "batch.safetensors")
    assert saved["input_ids"].shape[0] == 5
    monkeypatch.undo()
    assert train(small.episodes(), resume=True, **settings, **FAST).steps == 3


# Wrong input, one line each.


def test_data_that_cannot_be_trained_on_gives_one_clear_line(start: Path, small: Any, tmp_path: Path) -> None:
    lost = [episode for episode in small.episodes() if not episode.won]
    for data, method, message in (
        ([], "oreo", "no trajectories"),
        (lost, "rejection", "none of the 4 trajectories is won"),
        ([dataclasses.replace(lost[0], steps=())], "oreo", "no|none"),
    ):
        with pytest.raises(DataError, match=message) as error:
            train(data, method=method, model=start, output=tmp_path / "run")
        assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


def test_overlong_trajectories_are_refused_split_or_dropped_but_never_cut(
    start: Path, small: Any, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="more than the 30 allowed"):
        train(small.episodes(), model=start, output=tmp_path / "run", max_length=30)
    form = TurnFormat.from_tokenizer(load_policy(start)[1])
    for overlong in ("split", "drop"):
        with pytest.warns(UserWarning, match=f"of 12 trajectories have more than 30 tokens and were {overlong}"):
            examples = encode_all(small.episodes(), form, method="oreo", max_length=30, overlong=overlong)
        assert max(len(example.encoded) for example in examples) <= 30
        turns = sum(int(example.encoded.step_start.sum()) for example in examples)
        assert (turns == sum(len(episode) for episode in small.episodes())) == (overlong == "split")
    long = dataclasses.replace(
        small.episodes()[1], steps=tuple(s for e in small.episodes(100) for s in e.steps), won=True
    )
    with pytest.raises(DataError, match="more than the 256 allowed"):  # positions of the model
        train([long], model=start, output=tmp_path / "run")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(method="dpp"), "sft, rejection, oreo"),
        (dict(level="turn"), "token, step, response"),
        (dict(learning_rate=1.0), "unknown training option 'learning_rate'"),
        (dict(batch_size=0), "batch_size is 0"),
        (dict(lr=math.nan), "lr is nan"),
        (dict(beta=0.0), "beta"),
        (dict(epochs=0), "nothing to train"),
    ],
)
def test_wrong_options_give_one_clear_line(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=message):
        train([], output=tmp_path / "run", **fields)


# Pieces.


def test_defaults_are_the_papers() -> None:
    oreo_, sft, rejection = (TrainConfig(method=method) for method in ("oreo", "sft", "rejection"))
    assert (oreo_.lr, oreo_.value_lr, oreo_.epochs, oreo_.alpha, oreo_.beta) == (5e-6, 5e-6, 3, 0.01, 0.03)
    assert (sft.lr, sft.epochs, rejection.lr, rejection.epochs) == (2e-5, 2, 2e-5, 1)
    assert [TrainConfig(level=level).alpha for level in ("token", "step", "response")] == [0.01, 0.1, 0.3]
    assert (oreo_.batch_size, oreo_.warmup, oreo_.adam_betas, oreo_.max_grad_norm) == (128, 0.03, (0.9, 0.95), 1.0)
    assert TrainConfig(**oreo_.to_dict()) == oreo_ and not oreo_.differences(json.loads(json.dumps(oreo_.to_dict())))


def test_the_learning_rate_rises_and_then_falls_as_a_cosine() -> None:
    rates = [schedule(step, 100, 0.03) for step in range(100)]
    assert rates[:4] == pytest.approx([1 / 3, 2 / 3, 1, 1])
    assert rates[3:] == sorted(rates[3:], reverse=True) and 0 < rates[-1] < 1e-3
    assert schedule(0, 1, 0.03) == 1.0 and schedule(0, 5, 0.0) == 1.0


def test_every_epoch_is_a_permutation_of_its_own() -> None:
    orders = [epoch_order(50, seed=seed, epoch=epoch) for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(50)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4 and epoch_order(50, seed=1, epoch=1) == orders[3]


def test_micro_batches_hold_every_row_once_within_their_tokens() -> None:
    lengths = [5, 90, 17, 17, 200, 3, 8]
    groups = micro_batches(range(7), lengths, 100)
    assert sorted(row for group in groups for row in group) == list(range(7))
    assert groups[0] == [4] and all(len(g) * max(lengths[r] for r in g) <= 100 for g in groups[1:])


def test_auc_is_the_share_of_pairs_in_order() -> None:
    assert auc([0.1, 0.9, 0.5, 0.5], [False, True, True, False]) == pytest.approx((1 + 1 + 1 + 0.5) / 4)
    assert auc([1.0, 2.0], [True, True]) is None
