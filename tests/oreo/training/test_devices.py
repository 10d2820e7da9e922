"""Training by two processes on the CPU, as launchers start them, against the same training by one."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from helpers import small_models
from helpers.ranks import IN_ALL, Ranks, free_port
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import MissingExtra, UsageError
from oreo.training.trainer import train

CONFIGURATIONS = Path(__file__).parents[3] / "oreo" / "training" / "recipes" / "accelerate"
SETTINGS: dict[str, Any] = dict(epochs=1, batch_size=5, lr=1e-3, value_lr=1e-3)
LORA: dict[str, dict[str, Any]] = {
    "lora": {"method": "oreo", "lora_r": 4, "lr": 1e-2, "checkpoint_activations": True},
    "lora of the value": {"method": "oreo", "lora_r": 4, "lora_models": "value", "micro_tokens": 60},
}
needs_deepspeed = pytest.mark.skipif(importlib.util.find_spec("deepspeed") is None, reason="deepspeed is not installed")
# Stage 3 as large models meet it: by default it keeps small tensors, all of these models, on every process.
ZERO = {
    "stage 1": {"stage": 1, "reduce_bucket_size": 500},
    "stage 3": {"stage": 3, "stage3_param_persistence_threshold": 0, "stage3_prefetch_bucket_size": 100},
}
RUNS = """
import json, os, signal, sys
import oreo, oreo.models.scoring
from oreo.training.devices import disconnect

oreo.models.scoring.CHUNK["cpu"] = 3 * 260  # three rows, so that processes have different numbers of chunks

def stop(line):
    if line["step"] == 2:
        os.kill(os.getpid(), signal.SIGINT)  # the main process alone is asked to

for settings in json.loads(sys.argv[1]):
    stops = settings.pop("stops", False)
    try:
        oreo.train(**settings, on_step=stop if stops else None)
        assert not stops
    except KeyboardInterrupt:
        assert stops
disconnect()
"""
NOT_FINITE = """
import json, math, os, sys
import oreo, oreo.training.methods.sft
from oreo.training.devices import disconnect
from oreo.training.nonfinite import NonFiniteLoss

plain, calls = oreo.training.methods.sft.nll_loss, []

def breaks(*arguments):
    calls.append(arguments)
    loss, metrics = plain(*arguments)
    return (loss * math.nan, metrics) if len(calls) == 3 and os.environ["RANK"] == "1" else (loss, metrics)

oreo.training.methods.sft.nll_loss = breaks
try:
    oreo.train(**json.loads(sys.argv[1]))
except NonFiniteLoss as error:
    assert "update 3" in str(error)
    disconnect()
    sys.exit()
raise AssertionError
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: Any) -> Path:
    """A folder with a buffer, a model and the script that trains."""
    folder = tmp_path_factory.mktemp("data")
    with TrajectoryBuffer(folder / "buffer") as buffer:
        buffer.extend(small_models.rollouts())
    small_models.make_model(folder / "model")
    (folder / "runs.py").write_text(RUNS)
    return folder


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ranks]:
    both = Ranks(tmp_path_factory.mktemp("ranks") / "stderr")
    yield both
    both.close()


def launch(configuration: str | Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Two processes by `accelerate launch` with one of our configurations, over the loopback alone."""
    command = [sys.executable, "-m", "accelerate.commands.accelerate_cli", "launch"]
    command += ["--config_file", str(CONFIGURATIONS / configuration), "--main_process_port", str(free_port())]
    done = subprocess.run(
        [*command, *arguments], env={**os.environ, **IN_ALL}, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done


def assert_same(one: Path, other: Path, start: Path) -> None:
    """Losses and gradients agree to rounding; weights to a thousandth of how far they moved, as Adam magnifies it."""
    lines = [[json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()] for run in (one, other)]
    assert len(lines[0]) == len(lines[1]) == 3
    for first, second in zip(*lines, strict=True):
        numbers = {k: v for k, v in first.items() if "second" not in k and isinstance(v, float)}
        assert {k: second[k] for k in numbers} == pytest.approx(numbers, rel=1e-3, abs=1e-6)
    before = load_file(start / "model.safetensors")
    files = [path.relative_to(one) for path in one.glob("*/*model.safetensors")]
    assert files
    for file in files:
        weights = [load_file(run / file) for run in (one, other)]
        assert weights[0].keys() == weights[1].keys()
        # Heads and the second factors of adapters begin at zero.
        kept = [key for key in weights[0] if "lora_A" not in key]
        moved = torch.cat([(weights[0][key] - before.get(key, 0.0)).flatten() for key in kept]).norm()
        assert moved > 0.01
        apart = torch.cat([(weights[0][key] - weights[1][key]).flatten() for key in weights[0]]).norm()
        assert apart < 1e-3 * moved


def test_two_processes_started_as_the_readme_says_reach_the_weights_of_one_and_only_one_of_them_speaks(
    data: Path, tmp_path: Path
) -> None:
    train(data / "buffer", method="oreo", model=data / "model", output=tmp_path / "one", **SETTINGS)
    options = ["--epochs", "1", "--batch-size", "5", "--lr", "1e-3", "--value-lr", "1e-3", "--json"]
    command = ["-m", "oreo", "train", str(data / "buffer"), "--model", str(data / "model"), *options]
    done = launch("ddp.yaml", *command, "--output", str(tmp_path / "two"))
    assert json.loads(done.stdout)["steps"] == 3
    assert_same(tmp_path / "one", tmp_path / "two", data / "model")
    assert json.loads((tmp_path / "two" / "config.json").read_text())["run"]["processes"] == 2


@needs_deepspeed
def test_the_configuration_of_stage_3_reaches_the_weights_of_one_process(
    data: Path, ranks: Ranks, tmp_path: Path
) -> None:
    settings = {"data": str(data / "buffer"), "model": str(data / "model"), "method": "oreo", **SETTINGS}
    train(**settings, output=tmp_path / "one")
    two = json.dumps([{**settings, "output": str(tmp_path / "two")}])
    ranks.run(CONFIGURATIONS / "zero3.yaml", data / "runs.py", two)
    assert_same(tmp_path / "one", tmp_path / "two", data / "model")
    assert json.loads((tmp_path / "two" / "config.json").read_text())["run"]["processes"] == 2


def zero_configuration(settings: dict[str, Any], folder: Path) -> Path:
    """A configuration with DeepSpeed's own settings, which Accelerate takes from a file of their own."""
    (folder / "zero.json").write_text(json.dumps({"zero_optimization": settings}))
    configuration = yaml.safe_load((CONFIGURATIONS / "zero3.yaml").read_text())
    configuration["deepspeed_config"] = {"deepspeed_config_file": str(folder / "zero.json")}
    del configuration["mixed_precision"]
    (folder / "zero.yaml").write_text(yaml.safe_dump(configuration))
    return folder / "zero.yaml"


@pytest.fixture(scope="module")
def runs(data: Path) -> dict[str, dict[str, Any]]:
    """A run of every kind of loss, and of what shards treat in another way."""
    gpt2, gemma2 = (small_models.make_model(data / kind, kind) for kind in ("gpt2", "gemma2"))
    runs: dict[str, dict[str, Any]] = {
        "sft": {"method": "sft", "value_lr": None},
        "kto": {"method": "kto", "micro_tokens": 60, "value_lr": None},
        "dpo": {"method": "dpo", "batch_size": 3, "value_lr": None},
        "oreo": {"method": "oreo", "alpha": 1.0, "micro_tokens": 60},
        **LORA,
        # Only the value is trained in the first two updates.
        "gpt2": {"method": "oreo", "model": str(gpt2), "value_warmup_epochs": 2, "batch_size": 12},
        "again": {"method": "oreo", "alpha": 1.0, "micro_tokens": 60, "checkpoint_activations": True},
        "gpt2 again": {"method": "sft", "value_lr": None, "model": str(gpt2), "checkpoint_activations": True},
        # Its output layer is run as a module.
        "gemma2": {"method": "oreo", "model": str(gemma2), "alpha": 1.0},
    }
    fixed = {"data": str(data / "buffer"), "model": str(data / "model"), **SETTINGS}
    return {name: {**fixed, **settings} for name, settings in runs.items()}


@pytest.fixture(scope="module")
def by_one(data: Path, runs: dict[str, dict[str, Any]]) -> Callable[[str], Path]:
    """The folder of a run by one process, which keeps everything; trained when it is first asked for."""

    @cache
    def trained(name: str) -> Path:
        return train(**runs[name] | {"checkpoint_activations": False}, output=data / "by one" / name).output

    return trained


@pytest.mark.parametrize(
    "configuration",
    [
        "ddp.yaml",
        "fsdp2.yaml",
        *(pytest.param(c, marks=needs_deepspeed) for c in ("zero2.yaml", "stage 3")),
        pytest.param("stage 1", marks=[needs_deepspeed, pytest.mark.slow]),
    ],
)
def test_copies_and_shards_reach_the_weights_of_one_process_by_every_kind_of_loss_and_go_on_with_its_checkpoints(
    configuration: str,
    data: Path,
    runs: dict[str, dict[str, Any]],
    by_one: Callable[[str], Path],
    ranks: Ranks,
    tmp_path: Path,
) -> None:
    if configuration == "ddp.yaml":
        names = list(runs)
    elif configuration in ("fsdp2.yaml", "stage 3"):
        names = [name for name in runs if name not in ("sft", "oreo", *LORA)]  # those are run again, and resumed
    else:  # every process has the whole model, as in ddp.yaml
        names = ["dpo", "gpt2"]
    # Begun by one process.
    with pytest.raises(KeyboardInterrupt):
        train(**runs["oreo"], output=tmp_path / "ours", on_step=stop)
    two = [{**runs[name], "output": str(tmp_path / name)} for name in names]
    two.append({**runs["oreo"], "output": str(tmp_path / "ours"), "resume": True})
    two.append({**runs["oreo"], "output": str(tmp_path / "theirs"), "stops": True})
    file = zero_configuration(ZERO[configuration], tmp_path) if configuration in ZERO else configuration
    ranks.run(CONFIGURATIONS / file, data / "runs.py", json.dumps(two))
    for name in names:
        assert_same(by_one(name), tmp_path / name, Path(runs[name]["model"]))
    assert_same(by_one("oreo"), tmp_path / "ours", data / "model")
    # Begun by two.
    assert [path.name for path in (tmp_path / "theirs" / "checkpoint").iterdir()] == ["step-00000002"]
    train(**runs["oreo"], output=tmp_path / "theirs", resume=True)
    assert_same(by_one("oreo"), tmp_path / "theirs", data / "model")


@pytest.mark.parametrize("configuration", ["ddp.yaml", "fsdp2.yaml"])
def test_a_loss_that_is_not_finite_on_one_process_stops_all_with_a_checkpoint_from_before(
    configuration: str, data: Path, ranks: Ranks, tmp_path: Path
) -> None:
    (tmp_path / "run.py").write_text(NOT_FINITE)
    fixed = {"data": str(data / "buffer"), "model": str(data / "model"), "method": "sft", "epochs": 1, "batch_size": 5}
    settings: dict[str, Any] = {**fixed, "lr": 1e-3}
    train(**settings, output=tmp_path / "one")
    two = json.dumps({**settings, "output": str(tmp_path / "two")})
    ranks.run(CONFIGURATIONS / configuration, tmp_path / "run.py", two)
    assert (tmp_path / "two" / "nonfinite-step-00000003" / "batch.safetensors").is_file()
    assert [path.name for path in (tmp_path / "two" / "checkpoint").iterdir()] == ["step-00000002"]
    train(**settings, output=tmp_path / "two", resume=True)
    assert_same(tmp_path / "one", tmp_path / "two", data / "model")


def stop(line: dict[str, Any]) -> None:
    if line["step"] == 2:
        raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "1"}, "fsdp_version: 2"),
        (
            {"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_ACTIVATION_CHECKPOINTING": "true"},
            "--set checkpoint_activations=true",
        ),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_OFFLOAD_PARAMS": "true"}, "micro_tokens"),
        ({"ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "lora_r": "4"}, "LoRA"),
        ({"ACCELERATE_USE_MEGATRON_LM": "true"}, "fsdp2.yaml"),
        *(
            pytest.param({"ACCELERATE_USE_DEEPSPEED": "true", **environment}, message, marks=needs_deepspeed)
            for environment, message in [
                ({"lora_r": "4"}, "LoRA"),
                ({}, "accelerate launch"),
                ({"ACCELERATE_DEEPSPEED_ZERO_STAGE": "0"}, "zero_stage: 3"),
                ({"ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE": "cpu"}, "offload_optimizer .* micro_tokens"),
                ({"ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE": "cpu"}, "offload_param .* micro_tokens"),
                ({"ACCELERATE_GRADIENT_CLIPPING": "0.5"}, "max_grad_norm"),
                ({"ACCELERATE_GRADIENT_ACCUMULATION_STEPS": "4"}, "micro_tokens"),
            ]
        ),
    ],
)
def test_ways_to_share_that_are_not_supported_are_refused_in_one_line(
    environment: dict[str, str], message: str, data: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    settings = {"lora_r": int(environment.pop("lora_r", "0"))}
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=message):
        train(data / "buffer", method="sft", model=data / "model", output=tmp_path / "run", **settings)
    assert not (tmp_path / "run").exists()


@pytest.mark.skipif(importlib.util.find_spec("deepspeed") is not None, reason="deepspeed is installed")
def test_deepspeed_that_is_not_installed_is_named_with_its_install_line(
    data: Path, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(MissingExtra, match=r"oreo-agents\[deepspeed\]"):
        train(data / "buffer", method="sft", model=data / "model", output=tmp_path / "run")
