"""oreo.eval.terminal.app.cast: an asciinema recording of what was written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from oreo.errors import DataError, UsageError
from oreo.eval.terminal.app.cast import Cast, recording


class Written:
    """A driver that keeps what it is told to write."""

    def __init__(self) -> None:
        self.text = ""

    def write(self, data: str) -> None:
        self.text += data


def test_all_that_is_written_is_recorded_in_order_and_still_written(tmp_path: Path) -> None:
    cast = Cast(tmp_path / "session.cast")
    driver = recording(Written, cast)()
    for part in ("\x1b[2J", "漢字\n", "end"):
        driver.write(part)
    header, *events = map(json.loads, (tmp_path / "session.cast").read_text().splitlines())  # before it is closed
    cast.close()
    assert header["version"] == 2 and header["width"] > 0 and header["height"] > 0
    assert [(kind, text) for _, kind, text in events] == [("o", "\x1b[2J"), ("o", "漢字\n"), ("o", "end")]
    assert [at for at, _, _ in events] == sorted(at for at, _, _ in events)
    assert driver.text == "\x1b[2J漢字\nend"


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "mine.cast").write_text("mine")
    with pytest.raises(UsageError, match="is there already"):
        Cast(tmp_path / "mine.cast")
    with pytest.raises(DataError, match="cannot write"):
        Cast(tmp_path / "nowhere" / "a.cast")
