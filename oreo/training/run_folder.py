"""The output folder of a training run: who may write in it, what is in it, what a killed run left."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oreo.errors import DataError, UsageError
from oreo.files import HALF, write_text
from oreo.models.loading import (
    is_model,
)
from oreo.training.config import TrainConfig


@dataclass(frozen=True)
class TrainResult:
    """Where a finished run left what it made."""

    output: Path
    policy: Path
    """Policy folder, for `from_pretrained`."""
    value: Path | None
    """Value folder, None for methods without one."""
    steps: int
    """Updates made."""
    metrics: dict[str, Any]
    """The last line of the log."""


def _claim(output: Path, config: TrainConfig, resume: bool) -> None:
    """Refuse an output folder in use, and resuming what is something else or was set otherwise."""
    # A run that is killed before its config.json is whole leaves no folder, or one with nothing but half a file.
    new = not output.exists() or output.is_dir() and all(path.name.startswith(HALF) for path in output.iterdir())
    if new:
        if resume:
            warnings.warn(f"{output} holds nothing to resume yet: the run begins", stacklevel=3)
        return
    if not resume:
        raise UsageError(f"{output} is not empty; give a new folder, or resume (--resume) to go on with its run")
    stored = output / "config.json"
    if not stored.is_file():
        raise UsageError(f"{output} holds other things and no run to resume; give that of the run, or a new folder")
    try:
        before = json.loads(stored.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise DataError(f"cannot read {stored}: {error}") from error
    if changed := config.differences(before):
        raise UsageError(f"cannot resume {output} with other settings: {'; '.join(changed)}")


def _run_id(config: Path) -> str | None:
    """What a run that is resumed is called by trackers."""
    return json.loads(config.read_text(encoding="utf-8"))["run"].get("id") if config.is_file() else None


def _finished(output: Path) -> TrainResult | None:
    """The result of a run that needs no resuming."""
    if not is_model(output / "policy"):
        return None
    shutil.rmtree(output / "checkpoint", ignore_errors=True)  # the run was killed just before it would have done so
    value = output / "value"
    lines = (output / "log.jsonl").read_text(encoding="utf-8").splitlines()
    last = json.loads(lines[-1]) if lines else {}
    return TrainResult(output, output / "policy", value if value.is_dir() else None, last.get("step", 0), last)


def _cut_log(path: Path, step: int) -> None:
    """Drop lines of updates that the checkpoint does not have; they are about to be made again."""
    if not path.is_file():
        return
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:  # a line that was being written when the run was killed
            continue
        if entry["step"] <= step:
            kept.append(line + "\n")
    write_text(path, "".join(kept))


def _clean(output: Path, step: int) -> None:
    """Remove what a killed run left half written, and log lines of updates that are about to be made again."""
    for folder in (output, output / "checkpoint"):
        for path in folder.glob(".*.*-*"):
            shutil.rmtree(path, ignore_errors=True)
    for path in output.glob(f"{HALF}*"):
        path.unlink(missing_ok=True)
    _cut_log(output / "log.jsonl", step)
