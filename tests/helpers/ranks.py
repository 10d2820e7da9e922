"""Two processes as `accelerate launch` would start them, again and again, which import torch and transformers once.

Each of the two imports, and then forks for every script that it is to run: a process that imports for itself takes
five seconds to start. The variables are those that `accelerate launch` gives: it is run here, up to where it would
start the processes. What it starts by itself `test_devices.launch` proves.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

IN_ALL = {"ACCELERATE_USE_CPU": "1", "DS_ACCELERATOR": "cpu", "OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
"""Variables of every process: on the CPU, with a thread each, over the loopback alone."""
_RANK = """
import json, os, runpy, sys, traceback
import oreo.training.trainer, accelerate, transformers.modeling_utils

for line in sys.stdin:
    environment, *words = json.loads(line)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.environ.clear()
            os.environ.update(environment)
            os.dup2(2, 1)
            sys.argv = words
            runpy.run_path(words[0], run_name="__main__")
            code = 0
        except SystemExit as stop:
            code = stop.code or 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def environment_of(configuration: Path) -> dict[str, str]:
    """What `accelerate launch --config_file` puts into the environment of the processes that it starts."""
    import torch.distributed.run
    from accelerate.commands.launch import launch_command, launch_command_parser

    seen: dict[str, str] = {}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in IN_ALL.items():
            patch.setenv(name, value)
        patch.setattr(torch.distributed.run, "run", lambda _: seen.update(os.environ))
        launch_command(launch_command_parser().parse_args(["--config_file", str(configuration), "script.py"]))
    assert seen, "accelerate starts its processes in another way now"
    return seen


class Ranks:
    """The two; `close` ends them."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._processes = [
            subprocess.Popen(
                [sys.executable, "-c", _RANK],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log.open("a"),
                text=True,
                env={**os.environ, **IN_ALL},
            )
            for _ in range(2)
        ]

    def run(self, configuration: Path, script: Path, *arguments: str) -> None:
        """As `accelerate launch --config_file configuration script arguments` does; both have to end well."""
        shared = environment_of(configuration) | {
            "WORLD_SIZE": "2",
            "LOCAL_WORLD_SIZE": "2",
            "MASTER_ADDR": "127.0.0.1",
            "MASTER_PORT": str(free_port()),
        }
        for rank, process in enumerate(self._processes):
            self._ask(process, [shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}, str(script), *arguments])
        codes = [self._answer(process) for process in self._processes]
        assert codes == ["0\n", "0\n"], self._log.read_text()[-5000:]

    def _ask(self, process: subprocess.Popen[str], request: Sequence[Any]) -> None:
        assert process.stdin is not None
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()

    def _answer(self, process: subprocess.Popen[str]) -> str:
        assert process.stdout is not None
        return process.stdout.readline()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()
