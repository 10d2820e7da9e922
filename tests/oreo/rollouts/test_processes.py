"""oreo.rollouts.processes: workers of this machine start, are waited for and end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from oreo.agents.settings import AgentConfig
from oreo.rollouts import processes as module
from oreo.rollouts.links import Job
from oreo.rollouts.processes import processes
from oreo.rollouts.settings import Rollout

GUESS = f"{Path(__file__).resolve().parents[3] / 'examples' / 'guess.py'}:Guess"


def test_a_worker_that_is_killed_is_noticed_and_names_its_exit_code(tmp_path: Path) -> None:
    with processes(Job(Rollout(GUESS), "expert", AgentConfig(), tmp_path), 2) as place:
        link = place.start()
        link.kill()
        assert place.wait([link]) == [link]
        with pytest.raises(EOFError):
            link.recv()
        assert link.exit_reason() == f"exit code {-signal.SIGKILL}"


@pytest.mark.parametrize(("before", "inside"), [(None, str(max(1, (os.cpu_count() or 1) // 2))), ("3", "3")])
def test_workers_share_the_cores_unless_the_user_has_said_how(
    before: str | None, inside: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if before is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", before)
    with module.few_threads(2):
        assert os.environ["OMP_NUM_THREADS"] == inside
    assert os.environ.get("OMP_NUM_THREADS") == before


@pytest.mark.parametrize("threads", [0, 1])
def test_ctrl_c_waits_while_a_worker_starts_also_where_another_thread_would_take_it(threads: int) -> None:
    done, reached = threading.Event(), False
    others = [threading.Thread(target=done.wait, daemon=True) for _ in range(threads)]
    for other in others:
        other.start()
    handler = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(KeyboardInterrupt):
            with module.interrupts_held_back():
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(0.05)
                reached = True
    finally:
        done.set()
    assert reached and signal.getsignal(signal.SIGINT) is handler
    if hasattr(signal, "pthread_sigmask"):
        assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, set())


IDLE = """
import sys
from oreo.rollouts.collect import collect
from oreo.rollouts.settings import Rollout

if __name__ == "__main__":
    print("starting", flush=True)
    collect([(0, range(10**6))], Rollout(sys.argv[1]), agent="expert", into="b", workers=4)
"""


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("delay", [0.05, 0.3, 0.8, 1.5])
def test_stopped_while_workers_start_it_prints_no_traceback_of_theirs(stop, delay, tmp_path: Path) -> None:
    """As a terminal does it: the signal goes to all processes of the group."""
    (tmp_path / "idle.py").write_text(IDLE)
    process = subprocess.Popen(
        [sys.executable, "idle.py", GUESS],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "starting\n"
    time.sleep(delay)
    os.killpg(process.pid, stop)
    _, error = process.communicate(timeout=300)
    assert error.count("Traceback") <= 1, error  # the script's own, which has not caught it
    assert process.returncode != 0 and "spawn_main" not in error and "EOFError" not in error
