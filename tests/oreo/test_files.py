"""Whole or not at all, and in one line why not."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from oreo.errors import DataError
from oreo.files import HALF, read_json, replacing, write_json, write_text, writing


def test_a_folder_takes_its_place_when_it_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "x"
    for text in "ab":
        with replacing(target) as new:
            (new / "file").write_text(text)
            assert not target.exists() or (target / "file").read_text() == "a"
    with pytest.raises(ValueError, match="half way"), replacing(target) as new:
        (new / "file").write_text("c")
        raise ValueError("half way")
    assert (target / "file").read_text() == "b" and list(tmp_path.iterdir()) == [target]


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    write_text(tmp_path / "x", "a")
    write_text(tmp_path / "x", "ä")
    assert (tmp_path / "x").read_text(encoding="utf-8") == "ä"
    assert not any(path.name.startswith(HALF) for path in tmp_path.iterdir())


def test_json_comes_back(tmp_path: Path) -> None:
    write_json(tmp_path / "new" / "x.json", {"a": [1, None]})
    assert read_json(tmp_path / "new" / "x.json") == {"a": [1, None]}


@pytest.mark.parametrize("text", ["", "{", "[1]", "3", "[" * 50_000, '{"a": ' * 50_000])
def test_what_is_no_json_object_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError, match=r"x\.json is damaged"):
        read_json(tmp_path / "x.json")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot read"):
        read_json(tmp_path / "none.json")


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "make room, then go on with --resume"),
        (OSError("line one\nFile too large"), "File too large.*make room"),
        (RuntimeError("No space left on device (os error 28)"), "make room"),
        (PermissionError(errno.EACCES, "Permission denied"), "name a place where you may write"),
        (OSError(errno.EROFS, "Read-only file system"), "name a place where you may write"),
        (OSError(errno.ENAMETOOLONG, "File name too long"), "that the file system has a name for"),
    ],
)
def test_what_goes_wrong_while_writing_is_one_line_with_advice(error: Exception, advice: str) -> None:
    with pytest.raises(DataError, match=f"cannot write x .*{advice}") as raised, writing(Path("x")):
        raise error
    assert "\n" not in str(raised.value)


def test_other_errors_are_let_through() -> None:
    with pytest.raises(json.JSONDecodeError), writing(Path("x")):
        json.loads("{")


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "target"
    with replacing(target) as new:
        (new / "a").write_text("1")
    with pytest.raises(OSError, match="disk full"), replacing(target) as new:
        (new / "a").write_text("2")
        raise OSError("disk full")
    assert (target / "a").read_text() == "1"
    with replacing(target) as new:
        (new / "b").write_text("3")
    assert [path.name for path in tmp_path.iterdir()] == ["target"] and not (target / "a").exists()
