"""Training that is killed, or finds the disk full: the real command in a process of its own, with real signals."""

from __future__ import annotations

import json
import os
import random
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

import oreo.training.interrupts
import oreo.training.methods.sft
from helpers import small_models
from oreo.cli import main
from oreo.data.buffer import TrajectoryBuffer

torch.set_num_threads(1)


@pytest.fixture
def command(tmp_path: Path) -> list[str]:
    """`oreo train` of five updates of OREO with a checkpoint after each, the output folder to be added."""
    with TrajectoryBuffer(tmp_path / "buffer") as buffer:
        buffer.extend(small_models.episodes())
    small_models.make_model(tmp_path / "model")
    settings = "--epochs 1 --batch-size 3 --lr 1e-2 --set save_every=1 --set value_warmup_epochs=1 --json --output"
    return ["train", str(tmp_path / "buffer"), "--model", str(tmp_path / "model"), *settings.split()]


def run(arguments: list[str], first: Callable[[], None], errors: Path) -> int:
    """The command in a forked process, which does not have to import torch again. Returns how it ended."""
    child = os.fork()
    if child == 0:
        try:
            sys.stderr = errors.open("w")
            sys.stdout = open(os.devnull, "w")
            first()
            main(arguments)
        except SystemExit as end:
            sys.stderr.flush()
            os._exit(int(end.code or 0))
        finally:
            os._exit(99)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(event: int, output: Path) -> Callable[[], None]:
    """Kill this process, as `kill -9` would, when it is about to do so many things to files of the output folder."""
    remaining = event

    def hook(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal remaining
        if name in ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
            if name == "open" and not (isinstance(arguments[1], str) and set(arguments[1]) & set("wax")):
                return
            if str(output) in str(arguments[0]):
                remaining -= 1
                if remaining == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

    return lambda: sys.addaudithook(hook)


def assert_same_bits(one: Path, other: Path) -> None:
    for name in ("policy", "value"):
        weights = [load_file(output / name / "model.safetensors") for output in (one, other)]
        assert weights[0].keys() == weights[1].keys()
        assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])


def test_a_run_killed_at_any_moment_and_resumed_ends_with_the_same_bits(command: list[str], tmp_path: Path) -> None:
    errors, whole = tmp_path / "errors", tmp_path / "whole"
    assert run([*command, str(whole)], lambda: None, errors) == 0
    output, moments, kills = tmp_path / "run", random.Random(0), 0
    for _ in range(100):
        resume = ["--resume"] if kills else []
        ended = run([*command, str(output), *resume], killed_at(moments.randint(1, 60), output), errors)
        if ended == 0:
            break
        assert ended == -signal.SIGKILL, errors.read_text()
        kills += 1
    assert kills >= 5
    assert run([*command, str(output), "--resume"], lambda: None, errors) == 0  # there is nothing left to do
    assert_same_bits(whole, output)
    assert {path.name for path in output.iterdir()} == {"policy", "value", "config.json", "log.jsonl"}
    lines = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))


def test_a_full_disk_leaves_the_last_good_checkpoint_and_one_line(command: list[str], tmp_path: Path) -> None:
    errors, whole, output = tmp_path / "errors", tmp_path / "whole", tmp_path / "run"
    assert run([*command, str(whole)], lambda: None, errors) == 0

    def no_large_files() -> None:
        """Weights fit, the optimiser's moments do not."""
        weights = (whole / "policy" / "model.safetensors").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (2 * weights, 2 * weights))

    killed = run([*command, str(output)], killed_at(60, output), errors)
    assert killed == -signal.SIGKILL
    good = max((output / "checkpoint").glob("step-*"))
    before = {path: path.read_bytes() for path in good.rglob("*") if path.is_file()}
    assert run([*command, str(output), "--resume"], no_large_files, errors) == 1
    [line] = errors.read_text().splitlines()
    assert line.startswith("oreo: cannot write") and "File too large" in line and "--resume" in line
    assert max((output / "checkpoint").iterdir()) == good
    assert {path: path.read_bytes() for path in before} == before
    assert run([*command, str(output), "--resume"], lambda: None, errors) == 0
    assert_same_bits(whole, output)


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_a_checkpoint_and_the_run_goes_on_to_the_same_bits(
    stop: signal.Signals, command: list[str], tmp_path: Path
) -> None:
    errors, whole, output = tmp_path / "errors", tmp_path / "whole", tmp_path / "run"
    command = [argument.replace("save_every=1", "save_every=0") for argument in command]
    assert run([*command, str(whole)], lambda: None, errors) == 0

    def stopped() -> None:
        """A timer looks at the log, and sends the signal once when two updates are in it."""

        def look(*_: Any) -> None:
            log = output / "log.jsonl"
            if log.is_file() and log.read_bytes().count(b"\n") >= 2:
                signal.setitimer(signal.ITIMER_REAL, 0)
                os.kill(os.getpid(), stop)

        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGALRM, look)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)

    assert run([*command, str(output)], stopped, errors) == 130
    [line] = [line for line in errors.read_text().splitlines() if "stopped after update" in line]
    assert "the same command with --resume goes on" in line
    [checkpoint] = (output / "checkpoint").iterdir()
    assert int(checkpoint.name.removeprefix("step-")) >= 2
    assert not (output / ".lock").exists()
    assert run([*command, str(output), "--resume"], lambda: None, errors) == 0
    assert_same_bits(whole, output)


def test_ctrl_c_during_an_update_waits_until_the_update_is_whole() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), oreo.training.interrupts.uninterrupted():
        os.kill(os.getpid(), signal.SIGINT)
        done.append("update")
    assert done == ["update"] and signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_alone_each_signal_is_an_interrupt_and_among_several_it_is_noted(stop: signal.Signals) -> None:
    as_it_was = signal.getsignal(stop)
    before = signal.SIG_DFL if as_it_was == signal.SIG_IGN else as_it_was  # these tests may run under nohup
    signal.signal(stop, before)
    try:
        with pytest.raises(KeyboardInterrupt), oreo.training.interrupts.stop_requests(several=False):
            os.kill(os.getpid(), stop)
        with oreo.training.interrupts.stop_requests(several=True) as requests:
            os.kill(os.getpid(), stop)
        assert len(requests) == 1 and signal.getsignal(stop) is before
    finally:
        signal.signal(stop, as_it_was)
