"""The screen's side of the process that acts: it is started, asked, listened to and ended here."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from oreo.eval.terminal.live.messages import Job, job_to_json, line

_CODE = "import sys; sys.path[:] = sys.argv[1:]; from oreo.eval.terminal.live.process import main; main()"
_LONGEST = 1 << 28
"""Bytes of one answer: an episode with the world at each of its steps."""
_LOG_LINE = 1 << 16


class Link:
    """A process for one job.

    link = Link(job, on_message)
    await link.start()
    link.ask({"do": "begin"})
    """

    def __init__(self, job: Job, on_message: Callable[[dict[str, Any]], object]) -> None:
        """Args:
        job: what to play.
        on_message: called with each answer, {"is": "log", "text": …} for what is printed, and
            {"is": "died", "message": …} when the process ends by itself.
        """
        self.job, self.on_message = job, on_message
        self._process: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    async def start(self) -> None:
        """Start it; what it loads is told as it does."""
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            _CODE,
            *sys.path,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            limit=_LONGEST,
            start_new_session=True,  # Ctrl-C in the terminal is for the screen
        )
        self.ask({"job": job_to_json(self.job)})
        self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._log())]

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def ask(self, request: dict[str, Any]) -> None:
        """Send a request; the answer comes to `on_message`."""
        assert self._process is not None and self._process.stdin is not None
        with suppress(ConnectionError, RuntimeError):  # it has died, which is told when its output ends
            self._process.stdin.write(line(request))

    async def _listen(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        try:
            while answer := await self._process.stdout.readline():
                message = json.loads(answer)
                if isinstance(message, dict):
                    self.on_message(message)
        except Exception as error:  # a longer line, no JSON, or what the screen cannot take: never a silent stop
            self._tell_death(f"its answer cannot be shown: {type(error).__name__}: {error}")
            self.close()
            return
        code = await self._process.wait()
        self._tell_death(f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}")

    async def _log(self) -> None:
        assert self._process is not None and self._process.stderr is not None
        while part := await self._process.stderr.read(_LOG_LINE):
            self.on_message({"is": "log", "text": part.decode(errors="replace")})

    def _tell_death(self, how: str) -> None:
        if not self._closed:
            self.on_message({"is": "died", "message": f"the process of agent and environment ended ({how})"})

    def close(self) -> None:
        """End it, whatever it does, and those that it has started."""
        if self._closed:
            return
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._process is not None and self._process.returncode is None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    async def closed(self) -> None:
        """End it and wait until it has."""
        self.close()
        if self._process is not None:
            await self._process.wait()
