"""The terminal program without a terminal: textual's pilot presses keys, and what is drawn is read as text."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from textual.pilot import Pilot
from textual.screen import Screen

from oreo.eval.terminal.app.program import Program

Script = Callable[[Pilot], Awaitable[None]]


def shown(pilot: Pilot) -> list[str]:
    """The lines on the screen."""
    strips = pilot.app.screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def text_of(pilot: Pilot) -> str:
    return "\n".join(shown(pilot))


async def until(pilot: Pilot, wanted: Callable[[], bool], seconds: float = 60.0) -> None:
    """Wait for what a process or a thread brings about."""
    for _ in range(int(seconds / 0.02)):
        await pilot.pause(0.02)
        if wanted():
            return
    raise AssertionError("it did not come:\n" + text_of(pilot))


def watch(screen: Screen[None], script: Script, size: tuple[int, int] = (80, 24)) -> Program:
    """Run a script of keys on a screen of some size."""
    program = Program(screen)

    async def scripted() -> None:
        async with program.run_test(size=size, notifications=True) as pilot:
            await pilot.pause()
            await script(pilot)

    asyncio.run(scripted())
    return program
