"""oreo.training.run_folder: which folder a run may begin in, and which it goes on in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from helpers import small_models
from helpers.training import fast, weights
from oreo.errors import UsageError
from oreo.training.trainer import train

torch.set_num_threads(1)


@pytest.mark.parametrize("files", [None, [], [".half-config.json"]], ids=["nothing", "a folder", "half a file"])
def test_resuming_begins_where_a_kill_left_nothing_to_go_on_from(
    files: list[str] | None, start: Path, tmp_path: Path
) -> None:
    settings: dict[str, Any] = dict(method="sft", model=start, epochs=1, **fast("sft"))
    whole = train(small_models.episodes(), output=tmp_path / "whole", **settings)
    output = tmp_path / "run"
    if files is not None:
        output.mkdir()
        for name in files:
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
