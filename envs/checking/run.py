"""All checks, one after the other, on one environment."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from oreo.envs.checking.bench import Bench, Fault
from oreo.envs.checking.checks import (
    CHECKS,
    NOT_REPEATED,
    ONLY_WHEN_CLEAN,
    ONLY_WHEN_REPEATABLE,
    SEEDS,
    Skipped,
    words_of,
)
from oreo.envs.checking.report import Finding, Report
from oreo.envs.checking.subject import Subject
from oreo.envs.checking.surroundings import captured, global_random_kept
from oreo.errors import OreoError, UsageError
from oreo.plugins import exits_raised

PATIENCE = 10.0
"""Seconds that one call of an environment may take, if nothing else is said."""
SECONDS = 180.0
"""Seconds that all checks may take, if nothing else is said."""
SECONDS_AN_EPISODE = 1.0
"""An episode that is played to be compared has fewer steps where it would take longer than this."""
CALLS = ("contract", "time", "globals", "output", "text", "size")
"""What is looked at in every call, whichever check plays."""


def check(
    env: Any,
    /,
    *,
    max_steps: int | None = None,
    step_timeout: float = PATIENCE,
    seconds: float = SECONDS,
    actions: Sequence[str] = (),
    on_check: Callable[[str], object] | None = None,
    **env_kwargs: Any,
) -> Report:
    """Look for what an environment does wrong.

        report = oreo.envs.check("worlds.py:Maze", size=5)
        assert report.passed, report

    Args:
        env: what `oreo.envs.make` takes, a class, a function that makes one, or an environment (which has to be
            copyable, and is not touched). The first two can be made in another process, too.
        max_steps: as for `oreo.envs.make`.
        step_timeout: seconds that one call may take.
        seconds: that all may take, about; a check that has not begun by then is skipped, and the report says so.
        actions: what an agent might say, where the environment neither lists commands nor has an expert.
        on_check: called with each check's name before it is run.
        env_kwargs: arguments of the environment.

    Raises:
        UsageError: nothing of that name, or arguments it does not take.
    """
    for name, value in {"step_timeout": step_timeout, "seconds": seconds}.items():
        if not value > 0:
            raise UsageError(f"{name}={value!r}: expected seconds, more than 0")
    subject = Subject.of(env, max_steps, env_kwargs)
    done, skipped, measured = list(CALLS), dict[str, str](), dict[str, Any]()
    until = time.monotonic() + seconds
    with global_random_kept(), exits_raised(), captured() as output:
        bench = Bench(subject, output, patience=step_timeout, actions=actions)
        try:
            bench.close(_made(bench))
            bench.words = words_of(bench, actions)
            begun = time.monotonic()
            bench.first = [bench.play(SEEDS[0])]
            if (took := time.monotonic() - begun) > SECONDS_AN_EPISODE:
                bench.longest = max(5, int(bench.longest * SECONDS_AN_EPISODE / took))
            bench.first = [bench.play(seed) for seed in SEEDS]
            for trace in bench.first:
                trace.failed = ""  # noted; played again, it ends before the call that failed
        except Fault as fault:
            _make_all_skipped(skipped, fault)
        else:
            for name, run in CHECKS.items():
                if on_check is not None:
                    on_check(name)
                late = time.monotonic() > until
                why = f"not within {seconds:g} s" if late else _run(bench, name, run, measured)
                if why is None:
                    done.append(name)
                else:
                    skipped[name] = why
                bench.close_all()
        finally:
            bench.close_all()
    return Report(subject.name, tuple(done), tuple(bench.findings.values()), skipped, measured)


def _made(bench: Bench) -> Any:
    """The first environment. That there is none of that name is the caller's mistake, and no finding."""
    try:
        return bench.new()
    except Fault as fault:
        if isinstance(cause := fault.__cause__, OreoError) and cause.exit_code == UsageError.exit_code:
            raise cause from None
        raise


def _run(bench: Bench, name: str, run: Callable[[Bench, dict[str, Any]], None], measured: dict[str, Any]) -> str | None:
    """Run one; returns why it was not, or not to its end."""
    if name in ONLY_WHEN_CLEAN and bench.findings:
        return "there are findings already"
    if name in ONLY_WHEN_REPEATABLE and NOT_REPEATED in bench.findings:
        return "a seed is not one episode; see the findings"
    if not any(trace.turns for trace in bench.first):
        return "no episode begins"
    try:
        run(bench, measured)
    except Skipped as reason:
        return str(reason)
    except Fault:
        return "a call failed; see the findings"
    return None


def _make_all_skipped(skipped: dict[str, str], fault: Fault) -> None:
    skipped.update(dict.fromkeys(CHECKS, "no environment could be made"))


__all__ = ["CALLS", "PATIENCE", "Finding", "Report", "check"]
