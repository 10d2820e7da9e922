"""The processes that grade: shared by threads, had by daemons and forks, replaced when killed, gone at the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from helpers.processes import gone
from oreo.envs.math import pool, verifier
from oreo.envs.math.grading import grade

BOMB = r"\boxed{9^{9^{9^9}}}"
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    pool.close()
    pool.verified.cache_clear()
    yield
    pool.close()


def pids() -> list[int]:
    return [worker.process.pid for worker in list(pool._pool.all)]


def right(number: int) -> bool:
    """A grading that takes a process, another one for each number."""
    return grade(rf"\boxed{{\sqrt{{{number**2 * 2}}}}}", rf"{number}\sqrt{{2}}", seconds=60).correct


def test_processes_start_when_needed_serve_again_and_end_with_close() -> None:
    assert grade("#### 72", "72").correct and pids() == []
    assert right(3)
    before = pids()
    assert len(before) == 1
    assert right(5) and right(7) and pids() == before
    pool.close()
    assert pids() == [] and gone(before, 0)


def test_it_does_not_matter_how_much_the_process_holds_that_asks() -> None:
    much = bytearray(b"x") * (verifier.RETIRES_AT + (50 << 20))
    assert right(3) and len(pids()) == 1
    assert len(much) > verifier.RETIRES_AT


def test_verdicts_are_remembered_and_timeouts_are_not() -> None:
    assert right(3)
    pool.close()
    assert right(3) and pids() == []
    assert grade(BOMB, r"\sqrt{2}", seconds=0.3).outcome == "timeout"
    assert pool.verified.cache_info().currsize == 1


def test_threads_share_few_processes() -> None:
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(right, range(3, 35)))
    assert 1 <= len(pids()) <= pool.WORKERS
    assert len(pool._pool.free) == len(pids()) and pool._pool.taken == 0


def test_bombs_in_one_thread_leave_the_others_right() -> None:
    def bomb(_: int) -> bool:
        return grade(BOMB, r"\sqrt{2}", seconds=0.5).outcome == "timeout"

    with ThreadPoolExecutor(6) as threads:
        bombs = threads.map(bomb, range(2))
        others = threads.map(right, range(3, 9))
        assert all(bombs) and all(others)
    assert len(pids()) <= pool.WORKERS and pool._pool.taken == 0


def test_a_process_that_was_killed_while_idle_is_replaced() -> None:
    assert right(3)
    for pid in pids():
        os.kill(pid, signal.SIGKILL)
    assert right(5)


def test_a_process_that_is_killed_at_work_is_replaced_once_and_the_second_time_there_is_no_verdict() -> None:
    assert right(3)
    killed: list[int] = []

    def killer() -> None:
        while len(killed) < 2:
            for worker in list(pool._pool.all):
                if worker.ready and worker.process.pid not in killed and pool._pool.taken:
                    time.sleep(0.2)
                    killed.append(worker.process.pid)
                    os.kill(worker.process.pid, signal.SIGKILL)
            time.sleep(0.01)

    thread = threading.Thread(target=killer)
    thread.start()
    with pytest.warns(RuntimeWarning, match="grading processes die"):
        assert grade(BOMB, r"\sqrt{2}", seconds=60).outcome == "timeout"
    thread.join()
    assert pids() == [] and gone(killed, 0)
    assert right(5)


def test_a_process_that_has_held_much_memory_ends_after_its_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = "import oreo.envs.math.verifier as v; v.RETIRES_AT = 1; v.main()"
    monkeypatch.setattr(pool, "_RUN", f"import sys; sys.path[:] = sys.argv[1:]; {limit}")
    assert right(3) and pids() == []
    assert right(5) and pids() == []


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not enforce a limit of address space")
def test_memory_is_limited() -> None:
    code = (
        "from oreo.envs import killable; from oreo.envs.math import verifier as v; "
        "killable.limit_memory(v.MEMORY); bytearray(2 * v.MEMORY)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert "MemoryError" in done.stderr


SCRIPT = r"""
import multiprocessing, os, sys
from oreo.envs.math import pool
from oreo.envs.math.grading import grade

def right(number):
    return grade(rf"\boxed{{\sqrt{{{number**2 * 2}}}}}", rf"{number}\sqrt{{2}}", seconds=60).correct

def pids():
    return [worker.process.pid for worker in pool._pool.all]

def child(number):
    inherited = pids()
    assert right(number) and right(number + 1) and inherited == [] and len(pids()) == 1
    print(*pids(), flush=True)

if __name__ == "__main__":
    if sys.argv[1] in ("spawn", "fork"):
        assert right(3)
        print(*pids(), flush=True)
        context = multiprocessing.get_context(sys.argv[1])
        children = [context.Process(target=child, args=(number,), daemon=True) for number in (5, 8)]
        for process in children:
            process.start()
        for process in children:
            process.join()
            assert process.exitcode == 0
        assert right(11) and len(pids()) == 1
    else:
        assert right(3)
        print(*pids(), flush=True)
        grade(r"\boxed{9^{9^{9^9}}}", r"\sqrt{2}", seconds=float(sys.argv[1]))
"""


@pytest.fixture()
def script(tmp_path: Path) -> Path:
    path = tmp_path / "script.py"
    path.write_text(SCRIPT)
    return path


def launch(script: Path, argument: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, script, argument], stdout=subprocess.PIPE, text=True, env=environment)


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_daemonic_processes_grade_with_processes_of_their_own_which_end_with_them(script: Path, method: str) -> None:
    process = launch(script, method)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    workers = [int(word) for word in output.split()]
    assert len(set(workers)) == 3
    assert gone(workers)


def test_ctrl_c_during_a_grading_leaves_no_process(script: Path) -> None:
    process = launch(script, "1000")
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=300) != 0
    assert gone([worker])
    process.stdout.close()


def test_a_process_at_work_ends_soon_after_its_deadline_when_its_parent_was_killed(script: Path) -> None:
    process = launch(script, "1")
    assert process.stdout is not None
    worker = int(process.stdout.readline())
    time.sleep(0.3)
    process.kill()
    process.wait()
    process.stdout.close()
    assert gone([worker])


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
def test_grading_much_returns_the_memory() -> None:
    def held() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def much() -> None:
        for size in range(50):
            grade("\\boxed{" + "{" * 100_000 + "7" * (100_000 + size), "72")
            grade("\\boxed{" + "7" * (200_000 + size) + "}", rf"{size}\sqrt{{2}}")
        grade(BOMB, r"\sqrt{2}", seconds=0.5)

    much()
    before = held()
    much()
    assert held() - before < 20_000_000
    assert pids() == []
