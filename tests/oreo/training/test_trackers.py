"""The training log, in log.jsonl and in tensorboard, whose files are read back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import small_models
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import MissingExtra, UsageError
from oreo.training.config import TRACKERS
from oreo.training.trainer import train

torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[3]
LOGGED = (
    *("value_loss", "policy_loss", "kl", "residual", "value_start_won", "value_start_lost", "auc_start", "auc_middle"),
    *("policy_grad_norm", "value_grad_norm", "tokens_per_second", "lr", "value_lr"),
)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, Any]:
    model = small_models.make_model(tmp_path / "model")
    return dict(data=small_models.episodes(), model=model, output=tmp_path / "run", batch_size=6, epochs=3, lr=1e-2)


def log(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


def stop_at(step: int) -> Any:
    def on_step(line: dict[str, Any]) -> None:
        if line["step"] == step:
            raise KeyboardInterrupt

    return on_step


def test_every_line_of_an_oreo_run_has_what_one_watches(settings: dict[str, Any]) -> None:
    train(**settings)
    for line in log(settings["output"]):
        assert not [name for name in LOGGED if not isinstance(line[name], float)]


def test_what_reaches_tensorboard_is_the_log(settings: dict[str, Any]) -> None:
    pytest.importorskip("tensorboard")
    train(**settings, trackers=["tensorboard"])
    assert_equal_to_the_log(settings["output"])


def test_a_run_that_is_killed_and_resumed_is_one_run_in_tensorboard(settings: dict[str, Any]) -> None:
    """Updates after the last checkpoint are made again: what was told of them first is forgotten."""
    pytest.importorskip("tensorboard")

    class Killed(BaseException):
        """Like a kill, it gives no chance to save."""

    def killed(line: dict[str, Any]) -> None:
        if line["step"] == 3:
            raise Killed

    with pytest.raises(Killed):
        train(**settings, save_every=2, on_step=killed, trackers="tensorboard")
    first = json.loads((settings["output"] / "config.json").read_text())["run"]["id"]
    train(**settings, save_every=2, resume=True, trackers="tensorboard")
    assert json.loads((settings["output"] / "config.json").read_text())["run"]["id"] == first
    assert_equal_to_the_log(settings["output"])
    assert len(list((settings["output"] / "tensorboard" / "oreo").iterdir())) == 2


def assert_equal_to_the_log(output: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(output / "tensorboard" / "oreo"))
    events.Reload()
    lines = log(output)
    assert len(lines) == 6 and set(LOGGED) <= set(events.Tags()["scalars"])
    for name in events.Tags()["scalars"]:
        seen = {event.step: event.value for event in events.Scalars(name)}
        assert len(events.Scalars(name)) == len(seen)
        assert seen == pytest.approx({line["step"]: line[name] for line in lines if line[name] is not None})


@pytest.mark.parametrize("tracker", TRACKERS)
def test_trackers_keep_off_standard_output(tracker: str, settings: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip(tracker)
    with TrajectoryBuffer(tmp_path / "buffer") as buffer:
        buffer.extend(settings["data"])
    words = ["train", "buffer", "--model", "model", "--output", "run", "--epochs", "1", "--track", tracker, "--json"]
    environment = {
        **os.environ,
        "WANDB_MODE": "offline",
        "TRACKIO_DIR": str(tmp_path / "trackio"),
        "HOME": str(tmp_path),
    }
    environment |= {"PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "oreo", *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, text=True, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["steps"] == 1


def test_a_tracker_may_be_added_when_a_run_is_resumed(settings: dict[str, Any]) -> None:
    pytest.importorskip("tensorboard")
    with pytest.raises(KeyboardInterrupt):
        train(**settings, on_step=stop_at(2))
    train(**settings, resume=True, trackers=["tensorboard"])
    assert (settings["output"] / "tensorboard").is_dir()


def test_a_tracker_that_is_not_installed_or_not_known_is_one_line_before_anything_is_made(
    settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # as Python has it for what cannot be imported
    with pytest.raises(MissingExtra, match=r"pip install 'oreo-agents\[wandb\]'"):
        train(**settings, trackers=["wandb"])
    with pytest.raises(UsageError, match="tracker 'tensorbord' is unknown; .*did you mean 'tensorboard'"):
        train(**settings, trackers=["tensorbord"])
    assert not settings["output"].exists()
