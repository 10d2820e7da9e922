"""The output folder of a training run: who may write in it, its config, log, checkpoints and final models."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import secrets
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oreo.errors import DataError, UsageError
from oreo.files import HALF, write_text, writing
from oreo.models.loading import is_model
from oreo.progress import is_main_process
from oreo.training.checkpoint import latest_checkpoint
from oreo.training.config import TrainConfig
from oreo.training.folder_lock import LOCK, held, refuse_if_held


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


class RunFolder:
    """A run's folder. Only the main one of several processes writes into it."""

    def __init__(self, path: Path, config: TrainConfig) -> None:
        self.path, self.config = path, config
        self.log, self.checkpoints = path / "log.jsonl", path / "checkpoint"
        self.run_id = stored_config(path).get("run", {}).get("id") or secrets.token_hex(4)
        """What the run is called by trackers, after it was resumed as well."""

    def write_config(self, **run: Any) -> None:
        """config.json: the settings, and what is to be known of the run beside them."""
        versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "accelerate")}
        content = {**self.config.to_dict(), "run": {"id": self.run_id, **run, "versions": versions}}
        with writing(self.path / "config.json"):
            self.path.mkdir(parents=True, exist_ok=True)
            write_text(self.path / "config.json", json.dumps(content, indent=2) + "\n")

    @contextlib.contextmanager
    def logging(self) -> Iterator[Callable[[dict[str, Any]], None]]:
        """Gives what appends a line to log.jsonl."""
        file = self.log.open("a", encoding="utf-8")

        def write(line: dict[str, Any]) -> None:
            with writing(self.log):
                file.write(json.dumps(line) + "\n")
                file.flush()

        try:
            yield write
        finally:
            with contextlib.suppress(OSError):  # what a full disk kept from being written is not worth more words
                file.close()

    def latest_checkpoint(self) -> Path | None:
        """The one to go on from; None: begin again."""
        return latest_checkpoint(self.checkpoints)

    def finish(self, save: Callable[[Path], None]) -> None:
        """Write the final models, for which `save` is given the folder; the checkpoint is no longer needed then."""
        with writing(self.path):
            save(self.path)
        shutil.rmtree(self.checkpoints, ignore_errors=True)

    def result(self, steps: int, metrics: dict[str, Any]) -> TrainResult:
        """What the run has made."""
        value = self.path / "value"
        return TrainResult(self.path, self.path / "policy", value if is_model(value) else None, steps, metrics)

    def finished(self) -> TrainResult | None:
        """The result of a run that needs no resuming."""
        if not is_model(self.path / "policy"):
            return None
        shutil.rmtree(self.checkpoints, ignore_errors=True)  # the run was killed just before it would have done so
        lines = _log_lines(self.log)
        last = lines[-1] if lines else {}
        return self.result(last.get("step", 0), last)

    def clean(self, step: int) -> None:
        """Remove what a killed run left half written, and log lines of updates that are about to be made again."""
        for folder in (self.path, self.checkpoints):
            for path in folder.glob(".*.*-*"):
                shutil.rmtree(path, ignore_errors=True)
        for path in self.path.glob(f"{HALF}*"):
            path.unlink(missing_ok=True)
        if self.log.is_file():
            write_text(
                self.log, "".join(json.dumps(line) + "\n" for line in _log_lines(self.log) if line["step"] <= step)
            )


@contextlib.contextmanager
def claimed(path: Path, config: TrainConfig, *, resume: bool) -> Iterator[RunFolder]:
    """The folder of a run, held against other runs until the block ends.

    Raises:
        UsageError: a folder in use, by a run that is under way or by other things; resuming with other settings.
        DataError: its config.json cannot be read.
    """
    if is_main_process():  # to the others it is held by that one
        refuse_if_held(path)
    _check_claim(path, config, resume)
    with contextlib.ExitStack() as stack:
        if is_main_process():
            stack.enter_context(held(path))
            _check_claim(path, config, resume)  # somebody else may have been faster
        if resume and _is_new(path):
            warnings.warn(f"{path} holds nothing to resume yet: the run begins", stacklevel=4)
        yield RunFolder(path, config)


def _is_new(path: Path) -> bool:
    """A run that is killed before its config.json is whole leaves no folder, or one with nothing but half a file."""
    if not path.exists():
        return True
    return path.is_dir() and all(file.name.startswith(HALF) or file.name == LOCK for file in path.iterdir())


def _check_claim(path: Path, config: TrainConfig, resume: bool) -> None:
    """Refuse an output folder in use, and resuming what is something else or was set otherwise."""
    if _is_new(path):
        return
    if not resume:
        raise UsageError(f"{path} is not empty; give a new folder, or resume (--resume) to go on with its run")
    if not (path / "config.json").is_file():
        raise UsageError(f"{path} holds other things and no run to resume; give that of the run, or a new folder")
    if changed := config.differences(stored_config(path)):
        raise UsageError(f"cannot resume {path} with other settings: {'; '.join(changed)}")


def stored_config(path: Path) -> dict[str, Any]:
    """config.json of an output folder, nothing where there is none.

    Raises:
        DataError: it cannot be read.
    """
    file = path / "config.json"
    if not file.is_file():
        return {}
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict) or not isinstance(config.get("run"), dict):
        raise DataError(f"{file} is damaged, or no run's; put a good copy there, or give another output folder")
    return config


def _log_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a log, without one that was being written when the run was killed."""
    lines = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            lines.append(line)
    return lines
