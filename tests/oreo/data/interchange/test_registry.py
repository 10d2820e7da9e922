"""Formats by name, and which of them a file is of."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from oreo.data.interchange import registry
from oreo.data.interchange.registry import FORMATS, detect, find, names
from oreo.errors import DataError, UsageError


def written(path: Path, *rows: Any) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows))
    return path


def test_a_name_that_is_none_is_told_what_comes_near() -> None:
    with pytest.raises(UsageError, match=r"unknown format 'sharegtp': .*did you mean 'sharegpt'.*file.py:NAME"):
        find("sharegtp")
    assert names() == sorted(FORMATS) and all(find(name).name == name for name in names())


def test_a_line_about_each_and_a_way_to_use_it() -> None:
    for record in FORMATS.values():
        assert record.about and "\n" not in record.about and (record.read or record.write or record.save)


def test_packages_offer_formats_by_entry_points(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    point = EntryPoint("theirs", "oreo.data.interchange.react:FORMAT", registry.ENTRY_POINT_GROUP)
    monkeypatch.setattr(registry.importlib.metadata, "entry_points", lambda group: [point])
    assert "theirs" in names() and find("theirs") is FORMATS["react"]


@pytest.mark.parametrize("name", ["rows.json", "rows.csv", "rows"])
def test_a_file_is_known_by_what_is_in_it(name: str, tmp_path: Path) -> None:
    row = {"name": "n", "result": True, "traj": "o\n> a\nb\n"}
    assert detect(written(tmp_path / name, row)).name == "react"


def test_rows_that_cannot_be_read_or_say_nothing_are_passed_over(tmp_path: Path) -> None:
    row = {"name": "n", "result": True, "traj": "o\n> a\nb\n"}
    assert detect(written(tmp_path / "x", '{"name":]', {}, row)).name == "react"


def test_what_is_of_no_format_is_refused_with_what_was_wrong(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"of no format that is known; .*--format"):
        detect(written(tmp_path / "x", {"a": 1}))
    with pytest.raises(DataError, match=r"of no format that is known; .*line 1: it is no JSON"):
        detect(written(tmp_path / "x", '{"a": nope}'))


def test_several_formats_that_fit_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FORMATS, "react-too", replace(FORMATS["react"], name="react-too"))
    row = {"name": "n", "result": True, "traj": "o\n> a\nb\n"}
    with pytest.raises(DataError, match="line 1 may be of the formats react and react-too; say which by --format"):
        detect(written(tmp_path / "x", row))
