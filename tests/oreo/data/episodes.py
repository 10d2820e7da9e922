"""Episodes to store: plain ones, and any there can be."""

from __future__ import annotations

import warnings
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from oreo.data.buffer import TrajectoryBuffer
from oreo.data.records import to_record
from oreo.data.shards import ShardFile, write_shard
from oreo.data.tables import to_table
from oreo.trajectory import Candidate, Step, Trajectory


def episode(name: str = "g", *, won: bool = True, steps: int = 2, agent: str = "random") -> Trajectory:
    taken = tuple(
        Step(f"seen {index}", f"do {index}", reward=float(won and index == steps - 1)) for index in range(steps)
    )
    return Trajectory("toy", taken, "the end", True, False, won, game=name, agent=agent, task_type="sort")


def names(buffer: TrajectoryBuffer) -> list[str]:
    return [trajectory.game for trajectory in buffer]


def shard_with(folder: Path, count: int) -> Path:
    """The one shard of a new buffer, with episodes "0", "1", …."""
    with TrajectoryBuffer(folder) as buffer:
        buffer.extend(episode(str(index)) for index in range(count))
    (shard,) = folder.glob("*.parquet")
    return shard


def orphan(folder: Path, count: int) -> Path:
    """A journal whose writer died with `count` episodes in it."""
    buffer = TrajectoryBuffer(folder)
    buffer.extend(episode(str(index)) for index in range(count))
    assert buffer._writer is not None
    path = buffer._writer.journal.path
    buffer._writer.journal.close()
    buffer._writer = None
    return path


def same(one: Any, other: Any) -> bool:
    """Equality of value and type."""
    if is_dataclass(one):
        return type(one) is type(other) and all(
            same(getattr(one, field.name), getattr(other, field.name)) for field in fields(one)
        )
    if isinstance(one, tuple):
        return isinstance(other, tuple) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
rewards = st.floats(-1e307, 1e307) | st.sampled_from([-0.0, 5e-324, 0.1])
numbers = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from([-0.0, 5e-324, 0.1])
maybe_numbers = st.none() | numbers
candidates = st.builds(Candidate, text=texts, log_prob=maybe_numbers, value=maybe_numbers, count=st.integers(1, 9))
steps = st.builds(
    Step,
    observation=texts,
    action=texts,
    reward=rewards,
    turn=st.none() | texts,
    action_valid=st.none() | st.booleans(),
    admissible_commands=st.none() | st.lists(texts, max_size=3).map(tuple),
    log_prob=maybe_numbers,
    value=maybe_numbers,
    candidates=st.lists(candidates, max_size=3).map(tuple),
    imitate=st.booleans(),
    context_start=st.integers(0, 2**31 - 1),
    continues_message=st.booleans(),
    cut=st.booleans(),
    token_ids=st.none() | st.lists(st.integers(0, 2**31 - 1), max_size=3).map(tuple),
    actor=st.sampled_from(["", "agent", "person"]),
)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
_ends = st.sampled_from([(True, False), (False, True), (True, True)])
trajectories = st.builds(
    lambda end, **others: Trajectory(terminated=end[0], truncated=end[1], **others),
    end=_ends,
    env_id=texts,
    steps=st.lists(steps, max_size=4).map(tuple),
    final_observation=texts,
    won=st.booleans(),
    env_kwargs=st.dictionaries(texts, json_values, max_size=2),
    task=texts,
    task_type=texts,
    game=texts,
    dialect=texts,
    grade=texts,
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
    agent=texts,
    checkpoint=texts,
    tokenizer=texts,
    versions=st.dictionaries(texts, texts, max_size=2),
    created=texts,
    extra=st.dictionaries(texts, json_values, max_size=2),
)


RICH = replace(
    episode("rich"),
    steps=(
        Step("o", "a", 0.5, "t", True, ("a", "b"), -1.5, 0.25, (Candidate("a", -1.5, 0.2, 3), Candidate("b"))),
        Step("p", "b", continues_message=True, context_start=1, imitate=False),
        Step("q", "c", cut=True, token_ids=(5, 0, 7), actor="person"),
    ),
    seed=7,
    tokenizer="0123456789abcdef",
    versions={"oreo-agents": "0.1"},
    env_kwargs={"split": "train"},
    extra={"source": {"line": 3}, "notes": [None, 0.5, "é"]},
)


def stored(folder: Path, trajectories: list[Trajectory], name: str = "x.parquet") -> ShardFile:
    write_shard(to_table([to_record(trajectory) for trajectory in trajectories]), folder / name)
    return ShardFile(folder / name)


def read(shard: ShardFile) -> list[Trajectory]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return list(shard.trajectories())


def changed(path: Path, whole: bytes, at: int, to: int) -> None:
    path.write_bytes(whole[:at] + bytes([to]) + whole[at + 1 :])
