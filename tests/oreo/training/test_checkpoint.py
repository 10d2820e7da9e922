"""oreo.training.checkpoint: what is resumed is what was saved, or nothing is."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from helpers import small_models
from oreo.errors import DataError
from oreo.training.checkpoint import read_state
from oreo.training.trainer import train

torch.set_num_threads(1)


@pytest.fixture(scope="module")
def interrupted(tmp_path_factory: Any) -> Any:
    """Starts the run again in a copy of its folder: give it what to do to the checkpoint before."""

    def stop(line: dict[str, Any]) -> None:
        if line["step"] == 2:
            raise KeyboardInterrupt

    root = tmp_path_factory.mktemp("interrupted")
    settings: dict[str, Any] = dict(
        model=small_models.make_model(root / "start"), batch_size=6, lr=1e-2, value_lr=1e-2, epochs=2
    )
    train(small_models.episodes(), output=root / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        train(small_models.episodes(), output=root / "run", on_step=stop, **settings)

    def resume(output: Path, damage: Any) -> None:
        shutil.copytree(root / "run", output)
        [checkpoint] = (output / "checkpoint").iterdir()
        damage(checkpoint)
        result = train(small_models.episodes(), output=output, resume=True, **settings)
        for name in ("policy", "value"):
            ours, whole = (load_file(folder / name / "model.safetensors") for folder in (result.output, root / "whole"))
            assert all(torch.equal(ours[key], whole[key]) for key in whole)

    resume.checkpoint = next((root / "run" / "checkpoint").iterdir())  # type: ignore[attr-defined]
    return resume


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place // 8] ^= 1 << place % 8
    path.write_bytes(content)


def test_any_flipped_bit_of_any_file_is_named_or_harmless(interrupted: Any, tmp_path: Path) -> None:
    chance = random.Random(0)
    shutil.copytree(interrupted.checkpoint, tmp_path / "checkpoint" / "step")
    checkpoint = tmp_path / "checkpoint" / "step"
    state = read_state(checkpoint)
    files = sorted(path for path in checkpoint.rglob("*") if path.is_file())
    assert {path.name for path in files} >= {"model.safetensors", "optimizer.safetensors", "state.json", "config.json"}
    for path in files:
        whole = path.read_bytes()
        for _ in range(300 if path.name == "state.json" else 8):
            flip(path, chance.randrange(8 * len(whole)))
            try:
                unharmed = read_state(checkpoint) == state  # a flip in white space
                assert path.name == "state.json" and unharmed
            except DataError as error:
                assert str(checkpoint) in str(error) and "\n" not in str(error)
                if path.name != "state.json":
                    assert str(error).startswith(f"{path} is not what was written")
                    assert f"delete {tmp_path / 'checkpoint'} and the run begins again" in str(error)
            path.write_bytes(whole)


@pytest.mark.parametrize("name", ["policy/model.safetensors", "optimizer.safetensors", "state.json"])
@pytest.mark.parametrize("what", ["empty", "cut", "gone", "garbage"])
def test_cut_empty_and_missing_files_are_named_with_what_to_do(
    name: str, what: str, interrupted: Any, tmp_path: Path
) -> None:
    def damage(checkpoint: Path) -> None:
        path = checkpoint / name
        if what == "gone":
            path.unlink()
        else:
            content = path.read_bytes()
            path.write_bytes({"empty": b"", "cut": content[: len(content) // 2], "garbage": b"\x00\xff" * 500}[what])

    with pytest.raises(DataError, match=f"{name} .*: the checkpoint is damaged; .* or delete .*checkpoint and the run"):
        interrupted(tmp_path / "run", damage)


def test_without_the_checkpoint_the_run_begins_again(interrupted: Any, tmp_path: Path) -> None:
    interrupted(tmp_path / "run", lambda checkpoint: shutil.rmtree(checkpoint.parent))


def without_digests(checkpoint: Path) -> None:
    """As they were written before there were any."""
    state = json.loads((checkpoint / "state.json").read_text())
    del state["files"], state["sha256"]
    (checkpoint / "state.json").write_text(json.dumps(state, indent=2) + "\n")
    for path in checkpoint.rglob("SHA256SUMS"):
        path.unlink()


def test_a_checkpoint_of_before_digests_is_resumed(interrupted: Any, tmp_path: Path) -> None:
    interrupted(tmp_path / "run", without_digests)


@pytest.mark.parametrize("name", ["policy/model.safetensors", "optimizer.safetensors", "value/config.json"])
def test_a_cut_file_of_a_checkpoint_of_before_digests_is_named(name: str, interrupted: Any, tmp_path: Path) -> None:
    def damage(checkpoint: Path) -> None:
        without_digests(checkpoint)
        (checkpoint / name).write_bytes((checkpoint / name).read_bytes()[:100])

    with pytest.raises(DataError, match=f"{name} is cut or damaged"):
        interrupted(tmp_path / "run", damage)
