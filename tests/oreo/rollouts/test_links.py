"""oreo.rollouts.links: what a worker says, in which order, over any pipe."""

from __future__ import annotations

import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from oreo.agents.settings import AgentConfig
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import EngineError, UsageError
from oreo.rollouts import links
from oreo.rollouts.links import Job, Player, work
from oreo.rollouts.settings import Rollout, seeds

GUESS = f"{Path(__file__).resolve().parents[3] / 'examples' / 'guess.py'}:Guess"


class Pipe:
    """The other end: hands out these portions, and hangs up after so many messages."""

    def __init__(self, *portions: list[int], hangs_up: int = 1000) -> None:
        self.portions, self.hangs_up = list(portions), hangs_up
        self.messages: list[Any] = []

    def send(self, message: Any) -> None:
        if len(self.messages) >= self.hangs_up:
            raise BrokenPipeError
        self.messages.append(message)

    def recv(self) -> list[int]:
        return self.portions.pop(0) if self.portions else []


@pytest.fixture(autouse=True)
def own_warnings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker takes over how its process shows warnings; here that is the tests' own process."""
    monkeypatch.setattr(warnings, "showwarning", warnings.showwarning)


def job(into: Path, **settings: Any) -> Job:
    return Job(Rollout(GUESS, batch_size=2, **settings), "expert", AgentConfig(), into)


def test_it_says_who_it_is_asks_stores_reports_and_ends(tmp_path: Path) -> None:
    pipe = Pipe([4, 7], [9])
    work(pipe, job(tmp_path))
    kinds = [message[0] for message in pipe.messages]
    assert kinds[:2] == ["started", "more"] and kinds[-1] == "end"
    assert kinds.count("stored") == 3 and kinds.count("more") == 3
    _, writer, player = pipe.messages[0]
    assert player == Player("expert", "")
    reported = [(seeds(0, message[1])[0], message[2]) for message in pipe.messages if message[0] == "stored"]
    assert TrajectoryBuffer(tmp_path).stored_by(writer) == reported and len(reported) == 3


def test_where_nobody_listens_any_more_it_ends_quietly_and_keeps_what_it_stored(tmp_path: Path) -> None:
    work(Pipe([0, 1, 2, 3], hangs_up=3), job(tmp_path))
    assert len(TrajectoryBuffer(tmp_path)) == 2


def test_an_error_of_ours_is_its_last_word_without_its_cause(tmp_path: Path) -> None:
    pipe = Pipe([0])
    work(pipe, job(tmp_path, env_kwargs={"colour": "red"}))
    kind, error = pipe.messages[-1]
    assert kind == "error" and isinstance(error, UsageError) and error.__cause__ is None


def test_what_an_error_was_caused_by_is_left_behind() -> None:
    try:
        raise EngineError("broken") from ValueError("why")
    except EngineError as error:
        plain = links._plain(error)
    assert type(plain) is EngineError and str(plain) == "broken" and plain.__cause__ is None


def test_steps_are_counted_and_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.4, 0.9, 1.5, 1.5, 1.6])
    # Not the function itself, which is everybody's: whoever else asks the time meanwhile would get ours.
    monkeypatch.setattr(links, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    pipe = Pipe()
    steps = links._Steps(pipe)
    for count in (1, 2, 3, 4):
        steps.add(count)
    assert pipe.messages == [("steps", 6)]
