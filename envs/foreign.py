"""A game of another library, in a process of its own: what it prints, breaks and leaves behind stays there.

`ForeignGame` is the side of the environment: it asks with `ask` and gets dicts of JSON. `serve_game` is the side of the
library. The process starts at the first question and ends with `close`, with the object, or with this process. What
environments make of it is in foreign_env.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from oreo.envs.killable import Worker, serve
from oreo.errors import EngineError, MissingExtra, UsageError

MEMORY = 8 << 30
"""Bytes of address space that such a process may have; Java reserves many that it never uses."""


class ForeignGame:
    """A process that plays.

    Args:
        name: the library, as it is called in messages.
        main: `module:function` that calls `serve_game`.
        install: what to type where a package is missing.
        timeout: seconds to wait for one answer.
    """

    def __init__(self, name: str, main: str, install: str, timeout: float = 120.0) -> None:
        self.name, self.main, self.install, self.timeout = name, main, install, timeout
        self._worker: Worker | None = None
        self._owner = 0

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        """Return the answer.

        Raises:
            MissingExtra: a package is missing; says what to type.
            UsageError: the library does not know what was asked for.
            EngineError: the library failed, died, or did not answer in time.
        """
        if self._worker is not None and self._owner != os.getpid():
            self.close()  # a forked copy: the process belongs to the original
        worker = self._worker or self._start()
        try:
            answer = worker.ask({"do": do, **request}, self.timeout)
        except ImportError as error:
            self.close()
            raise MissingExtra(f"{self.name} is not there ({error}): {self.install}") from None
        except TimeoutError:
            self.close()
            raise EngineError(f"{self.name} did not answer for {self.timeout:g} s ({do})") from None
        except (OSError, EOFError):
            self.close()
            raise EngineError(f"the process of {self.name} ended while it was asked to {do}") from None
        except BaseException:
            self.close()  # interrupted in between: the next answer would be to this question
            raise
        if "usage" in answer:
            raise UsageError(answer["usage"])
        if "error" in answer:
            raise EngineError(f"{self.name} failed ({do}): {answer['error']}")
        return answer

    def _start(self) -> Worker:
        module, _, function = self.main.partition(":")
        self._worker = Worker(f"from {module} import {function} as main; main()")
        self._owner = os.getpid()
        return self._worker

    def close(self) -> None:
        """End the process at once. A later question starts another."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill() if self._owner == os.getpid() else worker.disown()

    def __del__(self) -> None:
        if getattr(self, "_worker", None) is not None:
            self.close()

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_worker": None}


def serve_game(prepare: Callable[[], None], answers: Callable[[], Any], memory: int = MEMORY) -> None:
    """In the process: answer questions by the method of that name of what `answers` makes.

    Args:
        prepare: imports the library; an ImportError says what is missing.
        answers: makes the object, after the imports; its methods take what is asked with and return dicts. Where it has
            `save` and `load`, it is also asked for a `snapshot`, and to `restore` one of the same episode by number.
    """
    players: list[Any] = []
    saved: list[Any] = []

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        del request["seconds"]
        try:
            if not players:
                players.append(answers())
            do = request.pop("do")
            if do == "snapshot":
                saved.append(players[0].save())
                return {"number": len(saved) - 1}
            if do == "restore":
                players[0].load(saved[request["number"]])
                return {}
            if do == "reset":
                saved.clear()
            return dict(getattr(players[0], do)(**request))
        except UsageError as error:
            return {"usage": str(error)}
        except (Exception, SystemExit) as error:
            return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:500]}

    serve(prepare, answer, memory)
