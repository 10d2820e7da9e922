"""One episode as a file: plain text, JSON (a line that `oreo buffer import` reads), or a picture."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path

from rich.console import Console
from rich.text import Text

from oreo.errors import UsageError
from oreo.eval.terminal.charts import sparkline
from oreo.eval.terminal.reading import values
from oreo.eval.terminal.screen import View, lines, progress
from oreo.eval.terminal.transcript import transcript
from oreo.files import write_text, writing
from oreo.text import one_line
from oreo.trajectory import Trajectory

KINDS = ("txt", "json", "svg")
_WIDTH = 100
"""Cells of a picture."""
_MOST_LINES = 2_000
"""Of a picture: more is no picture any more."""


def export(path: Path, view: View, trajectory: Trajectory | None) -> None:
    """Write an episode into a new file, in the format that its name ends with.

    Raises:
        UsageError: the file is there already, its ending is none of `KINDS`, or the format cannot hold this episode.
        DataError: it cannot be written.
    """
    kind = path.suffix.removeprefix(".").lower()
    if kind not in KINDS:
        raise UsageError(f"{path}: the name ends with .{', .'.join(KINDS)}")
    if path.exists():
        raise UsageError(f"{path} is there already; give another name")
    if kind == "json":
        if trajectory is None:
            raise UsageError("JSON is for episodes that have ended; text and SVG take this one as it stands")
        text = json.dumps(_record(trajectory), ensure_ascii=False) + "\n"
    else:
        text = picture(view) if kind == "svg" else "\n".join(lines(view)) + "\n"
    with writing(path):
        write_text(path, text)


def free_name(folder: Path, stem: str, kind: str) -> Path:
    """A name that no file has: episode-3.svg, episode-3-2.svg, …"""
    number = 1
    while (path := folder / f"{stem}{'' if number == 1 else f'-{number}'}.{kind}").exists():
        number += 1
    return path


def picture(view: View) -> str:
    """The whole transcript with the values of its states, as SVG."""
    console = Console(record=True, width=_WIDTH, force_terminal=True, file=io.StringIO(), color_system="truecolor")
    console.print(Text(one_line(view.task) or view.env_id, style="bold"))
    for line in transcript(view, _WIDTH)[:_MOST_LINES]:
        console.print(line.text, no_wrap=True, crop=True)
    drawn = sparkline(values(view))
    console.print(Text(f"{progress(view)}{'  values ' + drawn if drawn else ''}", style="bold"))
    svg = console.export_svg(title="oreo")
    # A picture asks nobody for a font.
    return re.sub(r"@font-face \{.*?\}\n?", "", svg, flags=re.DOTALL)


def _record(trajectory: Trajectory) -> dict[str, object]:
    from oreo.data.records import to_record

    return to_record(trajectory)
