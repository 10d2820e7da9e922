"""The original engine behind the Engine protocol: alfworld on TextWorld on Fast Downward, in a process of its own.

Slow (a new game takes a second or so) and exact by definition. The process starts at the first reset and ends with
`close`, with the engine object, or with this process, however that ends. Nothing of it leaks into this process:
no library, no sys.argv, no stdout. What runs in there is textworld_worker.py.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from typing import IO, Any

from oreo.envs.alfworld.game import Game
from oreo.errors import DataError, EngineError, UsageError

_LENGTH_BYTES = 4
_START = "import sys; sys.path[:] = sys.argv[2:]; from oreo.envs.alfworld.engines.textworld_worker import main; main()"


class TextWorldEngine:
    """See oreo.envs.alfworld.engines.engine.Engine.

        engine = TextWorldEngine()
        print(engine.reset(game))
        engine.step("go to fridge 1")
        engine.close()

    Args:
        timeout: seconds to wait for one answer (a reset translates the game's PDDL, which may take a while).
        remember: keep translations and parsed templates in the process: the same answers, several times sooner.
    """

    def __init__(self, *, timeout: float = 300.0, remember: bool = True) -> None:
        self._timeout = timeout
        self._remember = remember
        self._forget()

    def _forget(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._owner = os.getpid()
        self._last: dict[str, Any] | None = None

    def reset(self, game: Game) -> str:
        """Load `game`; its first observation.

        Raises:
            DataError: the engine cannot make sense of the game.
            EngineError: the engine could not be started, died, or did not answer in time.
        """
        data = {"pddl_domain": game.pddl_domain, "grammar": game.grammar, "pddl_problem": game.pddl_problem}
        self._last = None
        if self._process is not None and (self._owner != os.getpid() or self._process.poll() is not None):
            self.close()
        answer = self._ask({"do": "reset", "game": data}, f"loading {game.name}")
        if "error" in answer:
            self.close()  # a half-loaded game is no ground to load the next one on
            raise DataError(f"{game.name}: the original engine cannot load this game ({answer['error']})")
        self._last = answer
        return str(answer["feedback"])

    def step(self, command: str) -> str:
        self._state()
        answer = self._ask({"do": "step", "command": command}, f"carrying out {command[:80]!r}")
        if "error" in answer:
            self.close()
            raise EngineError(f"the original engine failed on {command[:80]!r} ({answer['error']}); reset to go on")
        self._last = answer
        return str(answer["feedback"])

    @property
    def valid(self) -> bool:
        return bool(self._state()["valid"])

    @property
    def won(self) -> bool:
        return bool(self._state()["won"])

    def admissible_commands(self) -> list[str]:
        return list(self._state()["admissible_commands"])

    def facts(self) -> list[str]:
        self._state()
        return list(self._ask({"do": "facts"}, "listing the facts")["facts"])

    def close(self) -> None:
        """End the process for good, at once. Idempotent; a later reset starts a new one."""
        process, errors, ours = self._process, self._errors, self._owner == os.getpid()
        self._forget()
        if errors is not None:
            errors.close()
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(OSError):  # what was not sent yet finds nobody to read it any more
                    pipe.close()
        if ours:  # in a forked copy of this object the process still belongs to the original
            process.kill()
            process.wait()

    def __del__(self) -> None:
        if getattr(self, "_process", None) is not None:
            self.close()

    def __getstate__(self) -> dict[str, Any]:
        return {"timeout": self._timeout, "remember": self._remember}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(**state)  # type: ignore[misc]

    def _state(self) -> dict[str, Any]:
        if self._last is None:
            raise UsageError("no game is loaded: call reset first")
        return self._last

    def _ask(self, request: dict[str, Any], doing: str) -> dict[str, Any]:
        process = self._process or self._start()
        assert process.stdin is not None and process.stdout is not None
        data = json.dumps(request).encode()
        try:
            process.stdin.write(len(data).to_bytes(_LENGTH_BYTES, "little") + data)
            process.stdin.flush()
            deadline = time.monotonic() + self._timeout
            length = int.from_bytes(self._read(process.stdout, _LENGTH_BYTES, deadline), "little")
            return dict(json.loads(self._read(process.stdout, length, deadline)))
        except TimeoutError:
            self.close()
            raise EngineError(f"the original engine did not answer for {self._timeout:g} s while {doing}") from None
        except (OSError, EOFError):
            raise EngineError(self._obituary(doing)) from None
        except BaseException:
            self.close()  # interrupted between question and answer: the next answer would be to the wrong question
            raise

    def _read(self, pipe: IO[bytes], size: int, deadline: float) -> bytes:
        parts = []
        while size:
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise TimeoutError
            part = os.read(pipe.fileno(), min(size, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _start(self) -> subprocess.Popen[bytes]:
        """Start it like multiprocessing's spawn, but without running the user's script a second time."""
        self._errors = tempfile.TemporaryFile()
        # alfworld creates a folder when ALFWORLD_DATA is unset or names none; this one exists.
        environment = os.environ | {"ALFWORLD_DATA": tempfile.gettempdir()}
        options = "--remember" if self._remember else "--plain"
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _START, options, *sys.path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                env=environment,
            )
        except OSError as error:
            raise EngineError(f"the original engine's process could not be started: {error}") from error
        self._owner = os.getpid()
        return self._process

    def _obituary(self, doing: str) -> str:
        """One line about a process that is no more. Closes what is left of it."""
        assert self._process is not None and self._errors is not None
        try:
            code: int | str = self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            code = "unknown"
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        self.close()
        last = f": {lines[-1].strip()[:300]}" if lines else ""
        return f"the original engine's process ended (exit code {code}) while {doing}{last}"
