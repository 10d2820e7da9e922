"""That nothing of an environment's earlier episodes stays behind: memory, open files, processes."""

from __future__ import annotations

from typing import Any

from oreo.envs.checking.surroundings import children, memory, open_files


def assert_fifty_resets_leave_nothing(env: Any, action: str, memory_limit: float = 20e6) -> None:
    """Reset fifty times, with a step in between.

    Args:
        env: which was reset once, so that what is loaded at the first use is there.
        action: the step.
        memory_limit: bytes that it and its processes may have more afterwards; the library's own buffers vary.
    """
    before = open_files(), children(), memory() or 0
    for seed in range(50):
        env.reset(seed=seed)
        env.step(action)
    assert {"open files": open_files(), "processes": children()} == {"open files": before[0], "processes": before[1]}
    assert (memory() or 0) - before[2] < memory_limit
