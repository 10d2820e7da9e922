"""Draw a moment of a stored episode as docs/watch.svg, as `oreo replay` shows it.

python docs/picture.py runs/quickstart/held_out/oreo_best_of_5 --episode 56 --step 6 --output docs/watch.svg
"""

from __future__ import annotations

import argparse
import io
import re
from pathlib import Path

from rich.console import Console

import oreo
from oreo.eval.terminal.replay import view_at
from oreo.eval.terminal.screen import render

WIDTH, HEIGHT = 96, 26


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("buffer", type=Path)
    parser.add_argument("--episode", type=int, default=0)
    parser.add_argument("--step", type=int, default=5, help="steps that have been taken")
    parser.add_argument("--output", type=Path, default=Path("watch.svg"))
    args = parser.parse_args()
    episode = oreo.TrajectoryBuffer(args.buffer, create=False)[args.episode]
    console = Console(record=True, width=WIDTH, height=HEIGHT, force_terminal=True, file=io.StringIO())
    console.print(render(view_at(episode, args.step), width=WIDTH, height=HEIGHT))
    drawn = console.export_svg(title="oreo replay")
    # A picture asks nobody for a font.
    args.output.write_text(re.sub(r"@font-face \{.*?\}\n?", "", drawn, flags=re.DOTALL), encoding="utf-8")


if __name__ == "__main__":
    main()
