"""A process that can be killed: it is asked in lines of JSON, answers in such lines, and keeps its deadlines.

`Worker` is the side that asks: math/pool.py has several that compare answers, math/reasoning.py one that runs checkers,
foreign.py one for each environment of another library.
`serve` is what runs in the process. It ends with the process that started it, however that one ends: while it waits it
looks for it now and then; while it works, the kernel ends it a little after the deadline. Nothing that it prints
reaches the user. What else is refused to it is the business of whoever starts it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

STARTING = 120.0
"""Seconds for a process to import what it needs: a few, unless the disk or the machine is very busy."""
ORPHAN_CHECK = 5_000
"""Milliseconds between two looks for the parent, while there is nothing to do."""
GRACE = 1.0
"""Seconds after the deadline until the kernel does what the parent should have done."""
LONGEST = 10**6
"""Seconds, 11 days: no wait and no alarm is set for longer at a time. Some systems take no more."""


class Worker:
    """One process, and the two pipes to it.

    Args:
        code: Python that calls `serve`; it finds modules where this process does.
    """

    def __init__(self, code: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", f"import sys; sys.path[:] = sys.argv[1:]; {code}", *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,  # Ctrl-C in the terminal is for the process that asks
            env=os.environ | {"PYTHONHASHSEED": "0"},  # sympy's order of terms, and with it every verdict
        )
        assert self.process.stdin is not None
        os.set_blocking(self.process.stdin.fileno(), False)
        self.retires = False
        """Whether its last answer was the last of all."""
        self.ready = False

    def start(self) -> None:
        """Wait until it is ready.

        Raises:
            ImportError: a package is missing in it; says which.
            EOFError, OSError: it is dead, or takes longer than STARTING.
        """
        try:
            hello = self._read(time.monotonic() + STARTING)
        except TimeoutError:
            raise OSError(f"one did not start within {STARTING:.0f} s") from None
        if "missing" in hello:
            raise ImportError(hello["missing"])
        self.ready = True

    def ask(self, request: dict[str, Any], seconds: float) -> dict[str, Any]:
        """Return its answer. After any exception the process is to be killed: what it says next would answer this.

        Args:
            seconds: the deadline, from when the process is ready.
        Raises:
            TimeoutError: the deadline passed.
            EOFError, OSError: it is dead.
            What `start` raises, if that was not called before.
        """
        if not self.ready:
            self.start()
        until = time.monotonic() + seconds
        self._write(json.dumps({**request, "seconds": min(seconds, LONGEST)}).encode() + b"\n", until)
        answer = self._read(until)
        self.retires = answer.get("retires", False)
        return answer

    def _write(self, line: bytes, until: float) -> None:
        """Write a request. A pipe takes so much at a time, and more when the process has read it."""
        assert self.process.stdin is not None
        pipe = self.process.stdin.fileno()
        while line:
            _wait(pipe, select.POLLOUT, until)
            line = line[os.write(pipe, line) :]

    def _read(self, until: float) -> dict[str, Any]:
        """Read the next line."""
        assert self.process.stdout is not None
        pipe, line = self.process.stdout.fileno(), b""
        while not line.endswith(b"\n"):
            _wait(pipe, select.POLLIN, until)
            part = os.read(pipe, 1 << 16)
            if not part:
                raise EOFError
            line += part
        return dict(json.loads(line))

    def close_pipes(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.close_pipes()

    def disown(self) -> None:
        """Let go of it in a forked process: it belongs to the one that was forked."""
        self.close_pipes()
        self.process.returncode = 0  # else Popen would ask for a process that is no child


def _wait(pipe: int, event: int, until: float) -> None:
    """Wait until the pipe is ready. (poll, not select: with many files open, their numbers are too high for select.)"""
    waiting = select.poll()
    waiting.register(pipe, event)
    while not waiting.poll(min(max(0.0, until - time.monotonic()), LONGEST) * 1000):
        if time.monotonic() >= until:
            raise TimeoutError


# In the process.


def serve(prepare: Callable[[], None], answer: Callable[[dict[str, Any]], dict[str, Any]], memory: int) -> None:
    """Say `{}` when prepared, or what package is missing; then answer requests until there is nobody to ask.

    Args:
        prepare: the slow imports.
        answer: to a request, which has `seconds` besides what it was asked with. With `retires` it is the last one.
        memory: bytes of address space that it has for answers.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)  # ends the process, whatever it computes
    parent = os.getppid()
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what is printed at work is no answer
    try:
        prepare()
    except ImportError as error:
        print(json.dumps({"missing": str(error)}), file=answers, flush=True)
        return
    limit_memory(memory)
    print("{}", file=answers, flush=True)
    while line := _next_line(parent):
        request: dict[str, Any] = json.loads(line)
        signal.setitimer(signal.ITIMER_REAL, request["seconds"] + GRACE)
        response = answer(request)
        signal.setitimer(signal.ITIMER_REAL, 0)
        print(json.dumps(response), file=answers, flush=True)
        if response.get("retires"):
            return


def _next_line(parent: int) -> bytes:
    """The next request, nothing at the end or when the parent is gone.

    The end of the pipe may stay away when the parent dies: a process forked from it holds a copy.
    """
    waiting = select.poll()
    waiting.register(0, select.POLLIN)
    line = b""
    while not line.endswith(b"\n"):
        if waiting.poll(ORPHAN_CHECK):
            part = os.read(0, 1 << 16)
            if not part:
                return b""
            line += part
        elif os.getppid() != parent:
            return b""
    return line


def limit_memory(memory: int) -> None:
    """Limit the memory of this process, in bytes of address space; and it leaves no core when it is killed."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    except (ImportError, ValueError, OSError):
        pass  # not on this system: the deadline alone is the limit
