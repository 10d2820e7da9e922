"""`oreo.rollouts.verify` in several processes: each has environments of its own, and verdicts come in order.

with Verifiers(workers=4) as verifiers:
    for verdict, played in verifiers.verify_each(episodes):
        ...
"""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from types import TracebackType
from typing import Any

from oreo.errors import EngineError
from oreo.rollouts.processes import few_threads, interrupts_held_back
from oreo.rollouts.verify import Verdict, Verifier
from oreo.trajectory import Trajectory

_AHEAD = 4
"""Episodes a worker that are handed out at a time; what is read ahead is bounded by it."""


class Verifiers:
    """A `Verifier` in each of some processes."""

    def __init__(self, env: str | None = None, env_kwargs: Mapping[str, Any] | None = None, *, workers: int) -> None:
        """Args:
        env, env_kwargs: as `Verifier` has them.
        workers: how many processes.
        """
        self.workers = workers
        self._others = set(multiprocessing.active_children())
        # A fork would copy locks, and this process's environments.
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(workers, context, _begin, (env, dict(env_kwargs or {})))

    def __enter__(self) -> Verifiers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:  # what is under way may never end
            self._pool.shutdown(wait=False, cancel_futures=True)
            for process in set(multiprocessing.active_children()) - self._others:
                process.kill()
                process.join()
        self._pool.shutdown()

    def verify_each(self, episodes: Iterable[Trajectory]) -> Iterator[tuple[Verdict, Trajectory | None]]:
        """As `Verifier.verify` of each, in order.

        Raises:
            UsageError: an environment has to be named.
            EngineError: an environment has ended its process.
        """
        remaining = iter(episodes)
        under_way: deque[Future[tuple[Verdict, Trajectory | None]]] = deque()
        while True:
            for episode in itertools.islice(remaining, _AHEAD * self.workers - len(under_way)):
                with few_threads(self.workers), interrupts_held_back():  # the first one starts the processes
                    under_way.append(self._pool.submit(_verified, episode))
            if not under_way:
                return
            try:
                result = under_way.popleft().result()
            except BrokenProcessPool as broken:
                raise EngineError(
                    "an environment has ended the process that it was played in; with --workers 1 it is seen at which "
                    "episode"
                ) from broken
            yield result


def verifiers(env: str | None, env_kwargs: Mapping[str, Any], workers: int) -> Verifier | Verifiers:
    """Here, or in so many processes where they are several."""
    return Verifier(env, env_kwargs) if workers == 1 else Verifiers(env, env_kwargs, workers=workers)


_verifier: Verifier
"""Of a worker."""


def _begin(env: str | None, env_kwargs: dict[str, Any]) -> None:
    global _verifier
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _verifier = Verifier(env, env_kwargs)


def _verified(episode: Trajectory) -> tuple[Verdict, Trajectory | None]:
    return _verifier.verify(episode)
