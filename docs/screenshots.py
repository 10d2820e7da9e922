"""Draw the pictures of the README and docs/watching.md: the terminal program on stored episodes, as textual draws it.

python docs/screenshots.py runs/quickstart/held_out/oreo_best_of_5 --agent runs/quickstart/oreo --episode 56
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import re
from pathlib import Path

from textual.screen import Screen

from oreo.agents.settings import AgentConfig
from oreo.cli.screens import stored_job
from oreo.data.buffer import TrajectoryBuffer
from oreo.eval.terminal.app.list_screen import ListScreen
from oreo.eval.terminal.app.program import Program
from oreo.eval.terminal.app.reader_screen import ReaderScreen, stored_episode
from oreo.eval.terminal.shelf import of_view

READER, WIDE, LIST = (84, 26), (124, 34), (110, 18)
"""Columns and rows."""


async def draw(screen: Screen[None], size: tuple[int, int], keys: list[str], path: Path) -> None:
    """Press keys, wait until nothing is being waited for, and draw."""
    program = Program(screen)
    async with program.run_test(size=size) as pilot:
        for key in keys:
            await pilot.press(key)
            await pilot.pause(0.2)
            while isinstance(program.screen, ReaderScreen) and any(e.is_busy for e in program.screen.episodes):
                await pilot.pause(0.1)
        await pilot.pause(1.0)
        drawn = program.export_screenshot(title="oreo")
    # A picture asks nobody for a font.
    path.write_text(re.sub(r"@font-face \{.*?\}\n?", "", drawn, flags=re.DOTALL), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("buffer", type=Path)
    parser.add_argument("--agent", required=True, help="whose models read the turns")
    parser.add_argument("--episode", type=int, default=0)
    parser.add_argument("--output", type=Path, default=Path("docs"), help="a folder")
    args = parser.parse_args()
    config = dataclasses.asdict(AgentConfig(choose="best-of", k=5, temperature=0.5))
    job = stored_job(None, args.agent, config, None)
    buffer = TrajectoryBuffer(args.buffer, create=False)
    shelf = of_view(buffer.where(""))

    def reader() -> ReaderScreen:
        episode = stored_episode(shelf.trajectories(args.episode)[0], job=job)
        return ReaderScreen([episode], shelf=shelf, place=args.episode)

    listing = ListScreen(buffer, condition="not won", episode=lambda stored: stored_episode(stored, job=job))
    asyncio.run(draw(reader(), READER, ["right"] * 6, args.output / "reader.svg"))
    asyncio.run(draw(reader(), WIDE, ["right"] * 6 + ["w", "t"], args.output / "reader_wide.svg"))
    asyncio.run(draw(listing, LIST, ["s", "s", "down", "down"], args.output / "list.svg"))


if __name__ == "__main__":
    main()
