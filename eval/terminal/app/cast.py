"""A session as an asciinema recording (asciicast v2): what is written to the terminal, with the time of each part.

A header line {"version": 2, "width": …, "height": …}, then [seconds, "o", text] for each part.
"""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path
from typing import Any

from oreo.errors import UsageError
from oreo.files import writing


class Cast:
    """A recording, written as it goes on: what was recorded before a crash is there."""

    def __init__(self, path: Path) -> None:
        """Raises:
        UsageError: the file is there already.
        DataError: it cannot be written.
        """
        if path.exists():
            raise UsageError(f"--cast {path}: it is there already; give another name")
        width, height = shutil.get_terminal_size()
        self._begun = time.monotonic()
        with writing(path):
            self._file = path.open("x", encoding="utf-8")
            self._write({"version": 2, "width": width, "height": height, "timestamp": int(time.time())})

    def add(self, text: str) -> None:
        """Record what is written now."""
        self._write([round(time.monotonic() - self._begun, 6), "o", text])

    def _write(self, line: Any) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def recording(driver: type[Any], cast: Cast) -> type[Any]:
    """A driver of textual's that also records what it writes."""

    class Recording(driver):
        def write(self, data: str) -> None:
            cast.add(data)
            super().write(data)

    return Recording
