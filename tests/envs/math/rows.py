"""Rows of problems, written into files and read by the environment, for the tests of what reads them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from oreo.envs.math.env import MathEnv
from oreo.envs.math.problems import Problem
from oreo.errors import OreoError

GSM8K = [
    {"question": f"What is {n} + {n}?", "answer": f"It is {n}+{n} = <<{n}+{n}={2 * n}>>{2 * n}.\n#### {2 * n}"}
    for n in range(1, 6)
]
MATH = [
    {
        "problem": f"Solve $x = {n}$.",
        "level": f"Level {1 + n % 3}",
        "type": "Algebra" if n % 2 else "Geometry",
        "solution": f"Easy. Thus $x = \\boxed{{{n}}}.$ Done.",
    }
    for n in range(6)
]


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    """In the format of its name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def problems(source: str, **made: Any) -> list[Problem]:
    env = MathEnv(source=source, **made)
    assert env.games is not None
    return [env._problems.named(name) for name in env.games]


def won(source: str, **made: Any) -> bool:
    """Whether the expert wins every problem."""
    env = MathEnv(source=source, **made)
    for game in env.games or ():
        env.reset(options={"game": game})
        while not env.snapshot()[0].over:
            _, reward, *_ = env.step(env.expert_action())
        if reward != 1:
            return False
    return True


def message(call: Any, kind: type[OreoError]) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert "\n" not in str(caught.value)
    return str(caught.value)
