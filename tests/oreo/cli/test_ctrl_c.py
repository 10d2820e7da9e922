"""Ctrl-C, once and in impatience: one line, exit code 130, no traceback."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.pairwise import pairwise
from oreo.cli import main
from oreo.cli.ctrl_c import CtrlC, ctrl_c_once
from oreo.data.buffer import TrajectoryBuffer

ROOT = Path(__file__).resolve().parents[3]


def listening_for_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)


MODELS = {"while it imports": ("torch._C", 0.0), "at work": ("transformers.modeling_utils", 1.5)}
NO_MODEL = {"while it imports": ("numpy._core", 0.0), "at work": ("oreo.rollouts.loop", 1.5)}
COMMANDS = {
    "quickstart --fast --output q": MODELS,
    "collect --episodes 100000 --into b": NO_MODEL,
    "eval --agent tiny --episodes 100000": MODELS,
}
"""When it is pressed: a module that has been imported, as Python says under -X importtime, and seconds after that."""


def interrupted(command: str, cwd: Path, moment: str, again: float) -> tuple[int, str]:
    """Press Ctrl-C at that moment and once more `again` seconds later: (exit code, standard error)."""
    log, (module, seconds) = cwd / "stderr", COMMANDS[command][moment]
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-X", "importtime", "-W", "ignore", "-m", "oreo", *command.split()],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.DEVNULL,
            stderr=output,
            start_new_session=True,
            preexec_fn=listening_for_interrupts,
        )
    try:
        deadline = time.monotonic() + 300
        while re.search(rf"\| +{re.escape(module)}\n", log.read_text()) is None:
            assert process.poll() is None and time.monotonic() < deadline, log.read_text()[-2000:]
            time.sleep(0.02)
        for pause in (seconds, again):
            time.sleep(pause)
            process.send_signal(signal.SIGINT)
        return process.wait(300), log.read_text()
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize(
    ("command", "moment", "again"),
    pairwise(tuple(COMMANDS), tuple(MODELS), (0.0, 0.2)),
)
def test_twice_is_one_line_whatever_is_being_done(tmp_path: Path, command: str, moment: str, again: float) -> None:
    code, error = interrupted(command, tmp_path, moment, again)
    beside = ("   episodes: ", "evaluating: ", "collecting: ", "import time: ")
    told = [line for line in error.splitlines() if not line.startswith(beside) and "warning: " not in line]
    assert code == 130
    assert len(told) == 1 and told[0].startswith("oreo: stopped"), error


@pytest.mark.parametrize("ran_text", [False, True])
def test_the_exit_code_is_the_same_where_it_came_while_text_was_run(ran_text: bool, tmp_path: Path) -> None:
    """`exec` of a text, as dataclasses do it, leaves a mark in Python when it is interrupted."""
    waiting = "os.kill(os.getpid(), signal.SIGINT); time.sleep(60)"
    imported = f"exec({waiting!r})" if ran_text else waiting
    (tmp_path / "typer.py").write_text(f"import os, signal, time\n{imported}\n")
    process = subprocess.run(
        [sys.executable, "-m", "oreo", "envs"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=300,
        preexec_fn=listening_for_interrupts,
    )
    assert (process.returncode, process.stdout, process.stderr) == (130, "", "oreo: stopped\n")


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGHUP])
def test_a_closed_terminal_and_a_scheduler_stop_as_ctrl_c_does(stop: signal.Signals, tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "oreo", "collect", "--episodes", "100000", "--into", "b"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(stop, signal.SIG_DFL),  # these tests may run under nohup, which is obeyed
    )
    until = time.monotonic() + 300
    while not any(path.stat().st_size for path in (tmp_path / "b").glob("_*.journal")):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.05)
    process.send_signal(stop)
    error = process.communicate(timeout=300)[1]
    assert process.returncode == 130 and error.splitlines()[-1].startswith("oreo: stopped"), error
    buffer = TrajectoryBuffer(tmp_path / "b", create=False)
    assert len(buffer) > 0 and buffer.info()["journals"] == 0


def test_the_first_is_an_interrupt_and_the_next_is_not_heard_while_it_is_dealt_with() -> None:
    handler = CtrlC()
    with pytest.raises(KeyboardInterrupt):
        handler(signal.SIGINT, None)
    try:
        handler(signal.SIGINT, None)
    except KeyboardInterrupt:  # which would end the tests
        pytest.fail("the second is heard too")


def test_long_after_the_first_the_next_ends_the_process_at_once(tmp_path: Path) -> None:
    script = """
import os, signal, time
from oreo.cli import ctrl_c
ctrl_c._PATIENCE = 0.1
with ctrl_c.ctrl_c_once():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1000)
    except KeyboardInterrupt:
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(1000)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 130
    assert process.stderr == "oreo: stopped at once; what was stored before is kept\n"


def test_handlers_are_as_before_where_it_was_not_pressed() -> None:
    before = signal.getsignal(signal.SIGINT)
    with ctrl_c_once():
        assert isinstance(signal.getsignal(signal.SIGINT), CtrlC)
    assert signal.getsignal(signal.SIGINT) is before


def test_where_it_is_ignored_it_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with ctrl_c_once():
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_a_library_makes_of_an_interrupt_is_no_error(monkeypatch, capsys) -> None:
    def interrupted_import(*_: object, **__: object) -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(5)
        except KeyboardInterrupt:
            raise ImportError("numpy was not imported") from None

    monkeypatch.setattr("oreo.eval.evaluate.plan_games", interrupted_import)
    before = signal.getsignal(signal.SIGINT)
    try:
        with pytest.raises(SystemExit) as exit_:
            main(["eval", "--agent", "random"])
    finally:
        signal.signal(signal.SIGINT, before)
    assert exit_.value.code == 130
    assert capsys.readouterr().err == "oreo: stopped\n"
