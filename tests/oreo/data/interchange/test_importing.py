"""All is read before anything is stored, nothing is stored twice, and the report says what became of every row."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import signal
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from oreo.data.buffer import TrajectoryBuffer
from oreo.data.interchange.importing import Report, import_files
from oreo.data.interchange.spec import Reading
from oreo.data.journal import alone
from oreo.errors import DataError, UsageError
from oreo.matching import Matched
from oreo.trajectory import Trajectory

TOY = Reading(env="toy")


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"steps": [{"observation": "o", "action": f"a{number}"}], "won": number % 2 == 0, **more}


def lines(path: Path, *values: Any) -> Path:
    path.write_text("".join(value if isinstance(value, str) else json.dumps(value) + "\n" for value in values))
    return path


def stored(folder: Path) -> list[str]:
    return [trajectory.steps[0].action for trajectory in TrajectoryBuffer(folder, create=False)]


def test_each_episode_keeps_where_it_is_from(tmp_path: Path) -> None:
    file = lines(tmp_path / "x.jsonl", row(0, mood="good"), "\n", row(1))
    report = import_files([file], tmp_path / "b", reading=TOY)
    assert report == Report([str(file)], ["jsonl"], episodes=2, stored=2, steps=2, won=1, extra={"mood": 1})
    first, second = TrajectoryBuffer(tmp_path / "b")
    assert first.extra["mood"] == "good"
    source: Any = second.extra["imported_from"]
    assert (source["file"], source["line"], source["format"]) == ("x.jsonl", 3, "jsonl") and len(source["digest"]) == 32


def test_nothing_is_stored_where_something_cannot_be_read(tmp_path: Path) -> None:
    good, bad = lines(tmp_path / "good", row(0)), lines(tmp_path / "bad", row(1), "{\n", row(2), {"steps": 3})
    with pytest.raises(DataError, match=r"bad, line 2: it is no JSON .*nothing is stored\. --skip"):
        import_files([good, bad], tmp_path / "b", reading=TOY)
    assert not (tmp_path / "b").exists()
    report = import_files([good, bad], tmp_path / "b", reading=TOY, skip=True)
    assert stored(tmp_path / "b") == ["a0", "a1", "a2"]
    assert report.left_out == 2
    assert [(item["line"], item["reason"][:12]) for item in report.unread] == [(2, "it is no JSO"), (4, "steps is a w")]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ([1], "expected an object"),
        (row(0) | {"task": "half a pair: \ud83d"}, "not Unicode"),
        (row(0) | {"seed": 2**63}, "seed"),
        (
            {"steps": [{"action": "a", "reward": float("nan")}], "won": True},
            "reward of a trajectory is a finite number",
        ),
    ],
)
def test_what_no_buffer_can_hold_is_refused_with_its_line(value: Any, reason: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=rf"line 2: .*{reason}"):
        import_files([lines(tmp_path / "x", row(1), value)], tmp_path / "b", format="jsonl", reading=TOY)


@pytest.mark.parametrize("depth", [500, 900])
def test_a_row_that_is_nested_too_deeply_is_one_that_cannot_be_read(depth: int, tmp_path: Path) -> None:
    deep = json.dumps(row(1, more=0)).replace("0", "[" * depth + "]" * depth)
    file = lines(tmp_path / "x", row(0), deep + "\n", row(2))
    with pytest.raises(DataError, match="x, line 2: it is nested too deeply; nothing is stored"):
        import_files([file], tmp_path / "b", reading=TOY)
    report = import_files([file], tmp_path / "b", reading=TOY, skip=True)
    assert (stored(tmp_path / "b"), report.left_out) == (["a0", "a2"], 1)


def test_numbers_that_are_none_are_kept_in_extra_as_texts(tmp_path: Path) -> None:
    import_files([lines(tmp_path / "x", row(0, perplexity=float("inf")))], tmp_path / "b", reading=TOY)
    (episode,) = TrajectoryBuffer(tmp_path / "b")
    assert episode.extra["perplexity"] == "inf"


def test_run_again_an_import_stores_nothing_and_says_so(tmp_path: Path) -> None:
    file = lines(tmp_path / "x", row(0), row(1), row(0))
    assert import_files([file], tmp_path / "b", reading=TOY).stored == 3  # a row that is there twice is two episodes
    again = import_files([file], tmp_path / "b", reading=TOY)
    assert (again.stored, again.there_already, again.episodes) == (0, 3, 3)
    more = import_files([file, lines(tmp_path / "y", row(2), row(1))], tmp_path / "b", reading=TOY)
    assert (more.stored, more.there_already) == (2, 3)
    assert stored(tmp_path / "b") == ["a0", "a1", "a0", "a2", "a1"]


@pytest.mark.parametrize("at", range(4))
def test_an_import_that_is_interrupted_goes_on(at: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, into = lines(tmp_path / "x", *map(row, range(4))), tmp_path / "b"

    def interrupt(what: str, done: int) -> None:
        if what == "storing" and done == at + 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        import_files([file], into, reading=TOY, seen=interrupt)
    assert stored(into) == [f"a{number}" for number in range(at + 1)]
    import_files([file], into, reading=TOY)
    assert stored(into) == ["a0", "a1", "a2", "a3"]


def _tell(pipe: int, what: str, done: int) -> None:
    if what == "storing":
        with contextlib.suppress(BrokenPipeError):
            os.write(pipe, b"s")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_an_import_that_is_killed_loses_nothing_and_stores_nothing_twice(tmp_path: Path) -> None:
    count = 300
    file = lines(tmp_path / "x", *(row(number, note="x" * 1000) for number in range(count)))
    seconds = random.Random(0)
    for attempt in range(4):
        into = tmp_path / f"b{attempt}"
        for _ in range(2):
            storing, told = os.pipe()
            child = os.fork()
            if child == 0:
                try:
                    import_files([file], into, reading=TOY, seen=partial(_tell, told))
                finally:
                    os._exit(0)
            os.close(told)
            os.read(storing, 1)  # comes with the first episode that is stored, or with its end
            os.close(storing)
            time.sleep(seconds.uniform(0.0, 0.02))
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a last line that was not written completely
            before = stored(into) if into.exists() else []
            report = import_files([file], into, reading=TOY)
        assert report.there_already == len(before) and sorted(stored(into)) == sorted(f"a{at}" for at in range(count))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_two_imports_at_the_same_time_store_each_row_once(tmp_path: Path) -> None:
    file, into = lines(tmp_path / "x", *map(row, range(200))), tmp_path / "b"
    go_on, go = os.pipe()
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            try:
                os.close(go)
                os.read(go_on, 1)  # all begin at once, when the last holder of the other end is gone
                import_files([file], into, reading=TOY)
            finally:
                os._exit(0)
        children.append(child)
    os.close(go)
    for child in children:
        os.waitpid(child, 0)
    os.close(go_on)
    assert stored(into) == [f"a{number}" for number in range(200)]
    assert not (into / ".import.lock").exists()


def test_an_import_says_that_it_waits_for_another_one(tmp_path: Path) -> None:
    file, into = lines(tmp_path / "x", row(0)), tmp_path / "b"
    into.mkdir()
    said: list[str] = []
    with ThreadPoolExecutor(1) as pool:
        with alone(into / ".import.lock"):
            importing = pool.submit(import_files, [file], into, reading=TOY, seen=lambda what, done: said.append(what))
            while not said or not said[-1].startswith("waiting"):
                assert not importing.done()
                time.sleep(0.001)
        assert importing.result().stored == 1
    assert said == ["reading", "waiting for another import into this buffer", "storing"]


def test_a_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    file = lines(tmp_path / "x", *(row(number, note="x" * 100_000) for number in range(4)))  # more than is read at once

    def change(what: str, done: int) -> None:
        if what == "storing":
            lines(file, *(row(number, note="y" * 100_000) for number in range(4)))

    with pytest.raises(DataError, match="x has changed since it was read; run it again"):
        import_files([file], tmp_path / "b", reading=TOY, seen=change)


UNKNOWN = {"steps": [{"observation": "o", "action": "a"}, {"action": "b"}]}


def test_an_outcome_that_nobody_knows_is_asked_for(tmp_path: Path) -> None:
    file = lines(tmp_path / "x", UNKNOWN)
    with pytest.raises(
        DataError, match="line 1: the format jsonl does not say whether it was won; say --won or --lost"
    ):
        import_files([file], tmp_path / "b", reading=TOY)
    report = import_files([file], tmp_path / "won", reading=TOY, won=True)
    (episode,) = TrajectoryBuffer(tmp_path / "won")
    assert report.won == 1 and episode.won and [step.reward for step in episode.steps] == [0.0, 1.0]
    import_files([file], tmp_path / "lost", reading=TOY, won=False)
    (episode,) = TrajectoryBuffer(tmp_path / "lost")
    assert not episode.won and episode.truncated and episode.episode_return == 0


def test_an_environment_that_nobody_names_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing says which environment it is from; say --env"):
        import_files([lines(tmp_path / "x", row(0))], tmp_path / "b")


def test_what_the_environment_says_is_stored_and_two_games_are_named_and_not_guessed(tmp_path: Path) -> None:
    def match(trajectory: Trajectory, outcome_known: bool) -> Matched:
        name = trajectory.steps[0].action
        if name == "a1":
            return Matched(trajectory, outcome_known, False, "2 games fit", ("g1", "g2"))
        if name == "a2":
            return Matched(trajectory, outcome_known, False, "no game begins so")
        told = replace(trajectory, env_id="toy", game="g0", task="t", task_type="k", dialect="put", env_kwargs={"x": 1})
        return Matched(told, outcome_known, found=True)

    file = lines(tmp_path / "x", *(row(number, game=f"/theirs/{number}") for number in range(3)))
    report = import_files([file], tmp_path / "b", reading=TOY, match=match)
    assert (report.matched, report.without_game) == (1, 2) and [item["games"] for item in report.ambiguous] == [
        ["g1", "g2"]
    ]
    assert [(item["line"], item["why"]) for item in report.unmatched] == [(3, "no game begins so")]
    matched, several, none = TrajectoryBuffer(tmp_path / "b")
    assert (matched.game, matched.task, matched.task_type, matched.dialect, matched.env_kwargs) == (
        "g0",
        "t",
        "k",
        "put",
        {"x": 1},
    )
    assert matched.extra["imported_from"]["game"] == "/theirs/0" and several.extra["imported_from"]["games"] == [
        "g1",
        "g2",
    ]
    assert none.game == "/theirs/2"


def test_where_playing_does_not_tell_the_outcome_it_says_why(tmp_path: Path) -> None:
    def match(trajectory: Trajectory, outcome_known: bool) -> Matched:
        return Matched(trajectory, outcome_known, False, "no game begins so")

    with pytest.raises(
        DataError, match=r"won, and playing it does not, either \(no game begins so\); say --won or --lost"
    ):
        import_files([lines(tmp_path / "x", UNKNOWN)], tmp_path / "b", reading=TOY, match=match)


def test_what_was_played_is_surer_than_what_is_said(tmp_path: Path) -> None:
    def match(trajectory: Trajectory, outcome_known: bool) -> Matched:
        return Matched(replace(trajectory, won=False), True, found=True)

    import_files([lines(tmp_path / "x", UNKNOWN)], tmp_path / "b", reading=TOY, match=match, won=True)
    (episode,) = TrajectoryBuffer(tmp_path / "b")
    assert not episode.won and episode.truncated


OWN = """
from oreo.data.interchange.spec import Episode, Format, SetAside
from oreo.trajectory import Step, Trajectory

def read(row, reading):
    if row["kind"] == "empty":
        return [SetAside("nothing happened")]
    return [Episode(Trajectory("mine", (Step("o", row["did"]),), "", True, False, True))]

MINE = Format("mine", "lines of my own", fits=lambda row: "did" in row, read=read)
OTHER = 3
"""


def test_the_format_that_the_guide_shows_reads_its_rows(tmp_path: Path) -> None:
    guide = (Path(__file__).parents[4] / "docs" / "importing.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", guide, re.DOTALL)
    (tmp_path / "moves.py").write_text(code)
    moves = {
        "moves": [["You see a box.", "I think.\nAction: open box"]],
        "won": True,
        "end": "It is open.",
        "level": "box",
    }
    file = lines(tmp_path / "x", moves, {**moves, "moves": []})
    report = import_files([file], tmp_path / "b", format=f"{tmp_path / 'moves.py'}:MOVES", reading=TOY)
    (episode,) = TrajectoryBuffer(tmp_path / "b")
    assert episode.steps[0].action == "open box" and episode.game == "box" and report.set_aside == {"nobody moved": 1}


def test_a_pattern_that_would_find_nothing_is_refused(tmp_path: Path) -> None:
    reading = Reading(env="toy", pattern=re.compile("x"))
    with pytest.raises(UsageError, match="the format jsonl says itself what the actions are"):
        import_files([lines(tmp_path / "x", row(0))], tmp_path / "b", reading=reading)


def test_a_format_of_ones_own_is_one_file(tmp_path: Path) -> None:
    own = tmp_path / "own.py"
    own.write_text(OWN)
    file = lines(tmp_path / "x", {"kind": "real", "did": "a"}, {"kind": "empty", "did": ""})
    report = import_files([file], tmp_path / "b", format=f"{own}:MINE")
    assert stored(tmp_path / "b") == ["a"] and report.set_aside == {"nothing happened": 1}
    with pytest.raises(DataError, match=r"line 1: the format mine failed: KeyError: 'kind' \(.*own\.py, line 6\)"):
        import_files([lines(tmp_path / "y", {"did": "a"})], tmp_path / "c", format=f"{own}:MINE")
    with pytest.raises(UsageError, match="OTHER is no oreo.data.interchange.spec.Format"):
        import_files([file], tmp_path / "c", format=f"{own}:OTHER")
    with pytest.raises(UsageError, match="written only"):
        import_files([file], tmp_path / "c", format="trl-sft")
