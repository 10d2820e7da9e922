"""Workers that are actors of a Ray cluster: how they start, and how messages reach them.

What they do is in links.py, what becomes of a dead one in crew.py. All machines need this package with its environments
and models, and the buffer's folder at the same path, on a file system whose file locks hold between them
(NFS has such locks, unless it is mounted with nolock or local_lock). Each worker checks that before it plays. Of a
cluster that asks for a token, Ray is told by $RAY_AUTH_MODE=token.
"""

from __future__ import annotations

import logging
import math
import os
import socket
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from typing import Any
from urllib.parse import urlsplit

from oreo.agents.registry import SERVED
from oreo.data import journal
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import DataError, EngineError, MissingExtra, OreoError, UsageError
from oreo.rollouts.links import Job, Place, work


@contextmanager
def cluster(job: Job, workers: int) -> Iterator[Place]:
    """Connect to Ray, where up to `workers` of them find a place.

    Raises:
        MissingExtra: Ray is not installed.
        EngineError: there is no such cluster, or it has no GPU and one is asked for.
        UsageError: a device that Ray does not give.
    """
    with connected(workers), TrajectoryBuffer(job.into) as buffer:
        import ray

        gpus, cpus = _gpus(job, workers), int(ray.cluster_resources().get("CPU", 0))
        if cpus < workers:
            warnings.warn(
                f"the Ray cluster has {cpus} CPUs now; {workers - cpus} of {workers} workers wait", stacklevel=2
            )
        probe = f"_{buffer.writer_name}-00001{journal.SUFFIX}"
        yield Place(lambda: Actor(job, probe, gpus), _wait)


@contextmanager
def connected(workers: int) -> Iterator[None]:
    """Connect to Ray: as the caller has initialised it; else the cluster at $RAY_ADDRESS; else one of this machine's.

    What was begun here ends with the block.

    A program that imports ray before this should call `ray.init` too: what keeps a Ray of this machine off the network
    and off standard output is read at the import.

    Raises:
        MissingExtra: Ray is not installed.
        EngineError: there is no such cluster.
    """
    address = os.environ.get("RAY_ADDRESS") or "local"
    # Ray reads both when it is imported. What happens to its processes it would say on standard output.
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".")
    if address == "local":  # as it is on Windows and macOS: else it would listen to the network
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError:
        raise MissingExtra("workers on a cluster are Ray's: pip install 'oreo-agents[ray]'") from None
    if ray.is_initialized():
        yield
        return
    ours: dict[str, Any] = {"num_cpus": workers, "include_dashboard": False} if address == "local" else {}
    try:
        if (server := urlsplit(f"//{address}")).port:  # Ray itself would go on asking for minutes
            socket.create_connection((server.hostname, server.port), timeout=10).close()
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **ours)
    except (OSError, RuntimeError, ValueError) as error:
        raise EngineError(
            f"no Ray at RAY_ADDRESS={address} ({_line(error)}); expected host:port of a cluster, auto for the one that "
            "`ray start` began on this machine, or nothing for a Ray that is started now"
        ) from None
    try:
        yield
    finally:
        ray.shutdown()


def _line(error: BaseException) -> str:
    """The last line says most: Ray begins with identifiers."""
    return str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__


def _gpus(job: Job, workers: int) -> float:
    """What a worker asks for: if it loads a model, a GPU, or the share of one with which all of them find a place."""
    import ray

    device, value = job.agent_config.device, job.agent_config.value
    if job.agent in ("random", "expert") or (job.agent.startswith(SERVED) and not value):
        return 0
    if device is not None and not device.startswith("cuda"):
        return 0
    if device not in (None, "cuda"):
        raise UsageError(f"device {device!r}: Ray says which GPU a worker has; expected cuda")
    total = ray.cluster_resources().get("GPU", 0)
    if device and not total:
        raise EngineError("device 'cuda': no machine of the Ray cluster has a GPU; expected cpu")
    return 1 / math.ceil(workers / total) if total else 0


class Actor:
    """The link to a worker on the cluster (see oreo.rollouts.links.Link)."""

    def __init__(self, job: Job, probe: str, gpus: float) -> None:
        import ray

        # Two calls at a time: one waits for what the worker has to say, another brings it indices.
        made = ray.remote(_Worker).options(num_cpus=1, num_gpus=gpus, max_concurrency=2)
        self.actor = made.remote(job, probe, os.getcwd())
        self.coming = self.actor.next_messages.remote()
        self.death = ""

    def recv(self) -> list[Any]:
        import ray
        from ray.exceptions import RayError, RayTaskError

        try:
            messages = ray.get(self.coming)
        except RayTaskError:  # our own mistake
            raise
        except RayError as error:
            self.death = _line(error)
            raise EOFError from None
        self.coming = self.actor.next_messages.remote()
        return messages

    def send(self, portion: list[int]) -> None:
        self.actor.take.remote(portion)

    def kill(self) -> None:
        import ray

        ray.kill(self.actor)

    def join(self) -> None:
        self.kill()  # frees its place

    def exit_reason(self) -> str:
        return f"{self.death!r}"


def _wait(links: Sequence[Actor]) -> list[Actor]:
    import ray

    coming = [link.coming for link in links]
    ray.wait(coming)
    ready, _ = ray.wait(coming, num_returns=len(coming), timeout=0)  # else the first ones would always come first
    return [link for link in links if link.coming in ready]


# In the workers.


class _Worker:
    """What Ray runs. The worker's work is done in a thread, to which this is what a pipe is to a process."""

    def __init__(self, job: Job, probe: str, folder: str) -> None:
        self.messages: SimpleQueue[Any] = SimpleQueue()
        self.portions: SimpleQueue[list[int]] = SimpleQueue()
        threading.Thread(target=self.play, args=(job, probe, folder), daemon=True).start()

    def play(self, job: Job, probe: str, folder: str) -> None:
        with suppress(OSError):  # relative paths mean the same as at the caller's, where there is that folder
            os.chdir(folder)
        try:
            check_shared(job.into, probe)
            work(self, job)
        except OreoError as error:
            self.send(("error", error))
        except BaseException as error:
            self.messages.put(error)

    def send(self, message: tuple[Any, ...]) -> None:
        self.messages.put(message)

    def recv(self) -> list[int]:
        return self.portions.get()

    # What is called from afar.

    def next_messages(self) -> list[tuple[Any, ...]]:
        """Wait for messages."""
        messages = [self.messages.get()]
        while not self.messages.empty():
            messages.append(self.messages.get())
        for message in messages:
            if isinstance(message, BaseException):
                raise message
        return messages

    def take(self, portion: list[int]) -> None:
        self.portions.put(portion)


def check_shared(folder: Path, probe: str) -> None:
    """Check that this machine has the buffer that the caller has, and sees that the caller locks a file of it.

    Args:
        probe: name of that file.
    Raises:
        DataError: one of both is not so.
    """
    where = f"the machine {socket.gethostname()} of the Ray cluster"
    if not (folder / probe).exists():
        raise DataError(
            f"{where} does not see the buffer {folder}: expected a folder on a file system that all machines share, or "
            "`oreo collect --workers` without --ray"
        )
    if journal.is_orphan(folder / probe):
        raise DataError(
            f"{where} does not see file locks of other machines in {folder}, without which episodes get lost: expected "
            "a file system with locks (NFS without nolock or local_lock), or `oreo collect --workers` without --ray"
        )
