"""Episodes played once more in a new interpreter with other hashes, by `python -c`, and compared there.

The process answers a line of JSON for each episode. It can be killed, so an environment that hangs for good, or takes
its process with it, is found out here.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from oreo.envs.checking.bench import Bench, Trace, Turn
from oreo.envs.checking.subject import Subject
from oreo.envs.checking.surroundings import captured

_START = "import sys; sys.path[:] = sys.argv[1:]; from oreo.envs.checking.other_process import main; main()"
_STARTING = 60.0
"""Seconds for the process to import what it needs."""


@dataclass(frozen=True)
class Answer:
    """How one episode went there."""

    reason: str = ""
    """Why it could not be played; "" where it was."""
    difference: int | None = None
    """The first turn that differs; None where none does."""
    told: str = ""
    """What differs in it."""


def play(portable: dict[str, Any], traces: Sequence[Trace], patience: float, ignored: Collection[str]) -> list[Answer]:
    """Play these episodes in another process. Of those after one that ended it nothing is said.

    Args:
        portable: what the environment is made by there, as `Subject` has it.
        patience: seconds that one call may take.
        ignored: fields of turns that are not compared.
    """
    request = {
        "portable": portable,
        "patience": patience,
        "ignored": sorted(ignored),
        "traces": [asdict(trace) for trace in traces],
    }
    steps = sum(len(trace.actions) + 2 for trace in traces)
    environment = os.environ | {"PYTHONHASHSEED": "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"}
    with tempfile.TemporaryFile() as answers, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=answers,
            stderr=errors,
            env=environment,
        )
        ended = ""
        try:
            process.communicate(json.dumps(request).encode(), timeout=_STARTING + patience * min(steps, 10))
        except subprocess.TimeoutExpired:
            ended = "it hangs, and cannot be interrupted"
        finally:
            process.kill()
            process.wait()
        if process.returncode and not ended:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines()
            ended = f"the process ended with exit code {process.returncode}" + (f": {lines[-1]}" if lines else "")
        answers.seek(0)
        told = [Answer(**json.loads(line)) for line in answers.read().splitlines()]
    missing = len(traces) - len(told)
    return told + [Answer(ended)] * min(missing, 1) + [Answer()] * max(0, missing - 1)


def main() -> None:
    """What the process does."""
    request = json.loads(sys.stdin.buffer.read())
    portable, lines = request["portable"], []
    with captured() as output:
        made = Subject.of(portable["spec"], portable["max_steps"], portable["env_kwargs"])
        bench = Bench(made, output, patience=request["patience"], actions=())
        bench.ignored.update(request["ignored"])
        for entry in request["traces"]:
            ours = Trace(entry["seed"], entry["actions"], [_turn(turn) for turn in entry["turns"]], entry["failed"])
            theirs = bench.play(ours.seed, actions=ours.actions)
            lines.append(json.dumps(asdict(_compared(bench, ours, theirs))))
        bench.close_all()
    print("\n".join(lines), flush=True)


def _compared(bench: Bench, ours: Trace, theirs: Trace) -> Answer:
    if theirs.failed and theirs.failed != ours.failed:
        return Answer(theirs.failed)
    # An episode that failed is played here up to the call that did, and no further.
    number = bench.difference(
        Trace(ours.seed, ours.actions, ours.turns), Trace(ours.seed, theirs.actions, theirs.turns)
    )
    return Answer() if number is None else Answer("", number, bench.differing(ours, theirs, number))


def _turn(fields: dict[str, Any]) -> Turn:
    commands = fields["commands"]
    return Turn(**{**fields, "commands": None if commands is None else tuple(commands)})
