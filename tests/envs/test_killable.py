"""A process that is asked in lines of JSON: deadlines, long requests, its end, what is refused and what is told."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from helpers.processes import LONG, alive, gone
from oreo.envs.killable import Worker

ROOT = Path(__file__).resolve().parents[2]
SERVES = """
import os, sys, time
from oreo.envs.killable import serve

def prepare():
    print("prepared", file=sys.stderr)

def answer(request):
    print("some words")
    return {"is": eval(request["text"]), **request.get("more", {})}

serve(prepare, answer, 1 << 30)
"""


@pytest.fixture()
def worker() -> Iterator[Worker]:
    worker = Worker(SERVES)
    yield worker
    worker.kill()


@pytest.mark.parametrize("seconds", [60, 1e300, math.inf])
def test_it_answers_one_question_after_another_and_prints_are_no_answers(worker: Worker, seconds: float) -> None:
    assert [worker.ask({"text": f"{n} * 2"}, seconds) for n in range(5)] == [{"is": 2 * n} for n in range(5)]
    assert not worker.retires
    assert worker.ask({"text": "os.environ['PYTHONHASHSEED']"}, seconds) == {"is": "0"}


def test_questions_and_answers_may_be_longer_than_a_pipe_holds(worker: Worker) -> None:
    text = "x" * 3_000_000
    assert worker.ask({"text": repr(text)}, 60) == {"is": text}


@pytest.mark.parametrize("text", ["9**9**9**9", "time.sleep(1000)"])
def test_what_is_not_answered_by_the_deadline_is_a_timeout(worker: Worker, text: str) -> None:
    worker.ask({"text": "1"}, 60)
    start = time.monotonic()
    with pytest.raises(TimeoutError):
        worker.ask({"text": text}, 0.3)
    assert time.monotonic() - start >= 0.3
    worker.kill()
    assert not alive(worker.process.pid)


def test_the_deadline_holds_too_when_it_does_not_read_the_question(worker: Worker) -> None:
    worker.ask({"text": "1"}, 60)
    os.kill(worker.process.pid, signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        worker.ask({"text": "x" * 3_000_000}, 0.3)


def test_it_ends_by_itself_a_little_after_a_deadline_that_nobody_enforces(worker: Worker) -> None:
    worker.ask({"text": "1"}, 60)
    with pytest.raises(TimeoutError):
        worker.ask({"text": "9**9**9**9"}, 0.3)
    assert worker.process.wait(LONG) == -signal.SIGALRM


def test_one_that_died_is_told_from_one_that_is_slow(worker: Worker) -> None:
    worker.ask({"text": "1"}, 60)
    with pytest.raises(EOFError):
        worker.ask({"text": "os._exit(1)"}, 60)
    assert worker.process.wait(LONG) == 1
    with pytest.raises(BrokenPipeError):
        worker.ask({"text": "1"}, 60)


def test_an_answer_that_says_so_is_the_last(worker: Worker) -> None:
    assert worker.ask({"text": "1", "more": {"retires": True}}, 60)["is"] == 1 and worker.retires
    assert worker.process.wait(LONG) == 0


def test_a_missing_package_is_told_by_its_name() -> None:
    def fails() -> Worker:
        return Worker(SERVES.replace('print("prepared", file=sys.stderr)', "import no_such_package"))

    for call in (lambda worker: worker.start(), lambda worker: worker.ask({"text": "1"}, 60)):
        worker = fails()
        with pytest.raises(ImportError, match="no_such_package"):
            call(worker)
        assert not worker.ready
        worker.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not enforce a limit of address space")
def test_memory_is_limited(worker: Worker) -> None:
    assert worker.ask({"text": "len(bytearray(1 << 20))"}, 60) == {"is": 1 << 20}
    with pytest.raises(EOFError):
        worker.ask({"text": "len(bytearray(2 << 30))"}, 60)


SCRIPT = f"""
import os, sys, time
from oreo.envs.killable import Worker
files = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
worker = Worker({SERVES!r})
print(worker.ask({{"text": "6 * 7"}}, 60)["is"], flush=True)
if sys.argv[1] == "forked":
    if os.fork() == 0:
        time.sleep(1000)  # holds the pipe open
        os._exit(0)
print(worker.process.pid, flush=True)
if sys.argv[1] == "at work":
    worker.ask({{"text": "9**9**9**9"}}, 1)
time.sleep(1000)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="opens many files, forks")
@pytest.mark.parametrize("state", ["idle", "forked", "at work"])
def test_it_ends_with_who_asks_prints_nothing_and_minds_no_open_files(state: str) -> None:
    with subprocess.Popen(
        ["bash", "-c", 'ulimit -n 4096; exec "$@"', "-", sys.executable, "-c", SCRIPT, state],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if state == "forked" else subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "42\n"
        pid = int(process.stdout.readline())
        time.sleep(0.3)
        process.kill()
        process.wait()
        assert gone([pid])
        if state == "forked":
            os.killpg(process.pid, signal.SIGKILL)
        elif process.stderr is not None:
            assert process.stdout.read() == process.stderr.read() == ""
