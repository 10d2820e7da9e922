"""oreo.training.folder_lock: one run at a time in an output folder."""

from __future__ import annotations

import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import small_models
from oreo.errors import UsageError
from oreo.training.folder_lock import held, refuse_if_held
from oreo.training.trainer import train

torch.set_num_threads(1)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("resume", [False, True])
def test_a_second_run_gets_one_line_and_leaves_the_folder_untouched(resume: bool, tmp_path: Path) -> None:
    settings: dict[str, Any] = dict(
        method="sft", model=small_models.make_model(tmp_path / "start"), batch_size=6, lr=1e-2, epochs=1, save_every=1
    )
    whole = train(small_models.episodes(), output=tmp_path / "whole", **settings)
    output, refused = tmp_path / "run", []

    def second(line: dict[str, Any]) -> None:
        before = contents(output)
        with pytest.raises(UsageError, match=f"run is in use: process {os.getpid()} on .* is training there") as error:
            train(small_models.episodes(), output=output, resume=resume, **settings)
        assert "\n" not in str(error.value) and contents(output) == before
        refused.append(line)

    result = train(small_models.episodes(), output=output, on_step=second, **settings)
    assert len(refused) == result.steps == whole.steps
    assert (result.policy / "model.safetensors").read_bytes() == (whole.policy / "model.safetensors").read_bytes()
    assert not (output / ".lock").exists()


def test_the_folder_is_free_again_when_its_process_was_killed(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()

    def hold() -> None:
        with held(tmp_path / "run"):
            ready.set()
            signal.pause()

    process = context.Process(target=hold)
    process.start()
    assert ready.wait(30)
    for attempt in (refuse_if_held, lambda folder: held(folder).__enter__()):
        with pytest.raises(UsageError, match=f"process {process.pid} on"):
            attempt(tmp_path / "run")
    process.kill()
    process.join()
    assert (tmp_path / "run" / ".lock").exists()
    refuse_if_held(tmp_path / "run")
    with held(tmp_path / "run"):
        pass


def test_a_folder_that_nothing_was_put_into_is_gone_afterwards(tmp_path: Path) -> None:
    with held(tmp_path / "run"):
        assert (tmp_path / "run").is_dir()
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    with held(tmp_path / "run"):
        (tmp_path / "run" / "kept").touch()
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["kept"]
