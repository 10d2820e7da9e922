"""A flipped bit in any file of a saved model is found before anything is made of it."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from helpers import small_models
from oreo.errors import DataError
from oreo.models.digests import NAME, check_digests, write_digests
from oreo.models.loading import load_policy, load_value
from oreo.models.saving import save_model


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a finished run leaves: policy/ and value/."""
    output = tmp_path_factory.mktemp("run")
    small_models.make_model(output / "start")
    policy, tokenizer = load_policy(output / "start")
    save_model(policy, tokenizer, output / "policy")
    save_model(load_value(output / "start"), None, output / "value")
    shutil.rmtree(output / "start")
    return output


def test_a_flipped_bit_in_any_file_is_named_and_nothing_is_loaded(trained: Path) -> None:
    for name, load in (("policy", load_policy), ("value", load_value)):
        files = sorted(path for path in (trained / name).iterdir() if path.name != NAME)
        assert {"config.json", "model.safetensors"} <= {path.name for path in files}
        for path in files:
            whole = path.read_bytes()
            for at in (0, len(whole) // 2, len(whole) - 1):
                path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
                with pytest.raises(DataError, match=rf"{path} is not what was written .* delete {path.parent / NAME}"):
                    load(trained)
            path.unlink()
            with pytest.raises(DataError, match=f"{path.name} is missing|holds no model"):
                load(trained / name)
            path.write_bytes(whole)
        load(trained)


def test_sha256sum_checks_them(trained: Path) -> None:
    tool = shutil.which("sha256sum")
    if tool is None:
        pytest.skip("no sha256sum on this machine")
    assert (
        subprocess.run([tool, "--check", "--strict", NAME], cwd=trained / "policy", capture_output=True).returncode == 0
    )


def test_a_model_without_them_is_anybodys(trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "policy", tmp_path / "other")
    (tmp_path / "other" / NAME).unlink()
    (tmp_path / "other" / "generation_config.json").write_text("{}")
    load_policy(tmp_path / "other")


@pytest.mark.parametrize("line", ["nonsense", "0" * 64 + "  ../elsewhere", "0" * 64 + "  /etc/passwd", "\x00" * 80])
def test_a_list_that_is_none_is_named_and_leads_nowhere(line: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    write_digests(tmp_path)
    check_digests(tmp_path)
    with (tmp_path / NAME).open("a") as file:
        file.write(line)
    with pytest.raises(DataError, match=f"{NAME}, line 2: damaged"):
        check_digests(tmp_path)


@pytest.mark.parametrize("kind", ["pipe", "folder", "circle", "device"])
def test_a_list_that_is_no_file_is_named_and_not_taken_for_none(kind: str, tmp_path: Path) -> None:
    path = tmp_path / NAME
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero" if kind == "device" else NAME)
    with pytest.raises(DataError, match=f"{NAME} is no regular file"):
        check_digests(tmp_path)
