"""What a format can hold comes back from it; what it cannot is said; nothing is left of an export that fails."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.data.interchange.exporting import differing, export, lost_of
from oreo.data.interchange.registry import FORMATS, detect
from oreo.data.interchange.sources import rows
from oreo.data.interchange.spec import Reading
from oreo.errors import DataError, UsageError
from oreo.trajectory import Candidate, Step, Trajectory

words = st.text("abc é\n1{}", min_size=1, max_size=12).map(str.strip).filter(bool)
plain_steps = st.builds(
    lambda observation, action, thought, imitate: Step(
        observation,
        action,
        turn=None if thought is None else f"Thought: {thought}\nAction: {action}",
        imitate=imitate,
    ),
    observation=words,
    action=st.text("abc1 ", min_size=1, max_size=8).map(str.strip).filter(bool),
    thought=st.none() | words,
    imitate=st.booleans(),
)


@st.composite
def plain(draw: st.DrawFn) -> Trajectory:
    """An episode such as formats are made for: its reward paid at its end."""
    won = draw(st.booleans())
    steps = draw(st.lists(plain_steps, min_size=1, max_size=4))
    steps[-1] = replace(steps[-1], reward=float(won))
    end = draw(st.just("") | words)
    return Trajectory("toy", tuple(steps), end, won, not won, won, game=draw(words), task=draw(words), seed=3)


TOLD = {"steps", "steps.observation", "steps.action", "steps.turn"}
OUTCOME = {"won", "terminated", "truncated", "steps.reward", "final_observation"}
HELD: dict[str, set[str]] = {
    "sharegpt": TOLD | OUTCOME | {"game"},
    "messages": TOLD | OUTCOME | {"game", "steps.imitate"},
    "oreo-alfworld": TOLD | OUTCOME,
    "eto-rollouts": TOLD | OUTCOME,
    "verifiers-results": TOLD | OUTCOME | {"game", "task", "seed", "env_id"},
    "verifiers-traces": TOLD | OUTCOME | {"game", "task", "seed", "env_id", "steps.imitate"},
    "atif": TOLD | OUTCOME | {"game", "task", "seed", "env_id", "steps.imitate"},
}


@pytest.mark.parametrize("name", HELD)
@settings(max_examples=25, deadline=None)
@given(trajectory=plain())
def test_what_a_format_has_a_place_for_comes_back(name: str, trajectory: Trajectory) -> None:
    assert not lost_of(FORMATS[name], trajectory) & HELD[name]


def test_every_format_that_is_written_and_read_is_among_them() -> None:
    both = {name for name, record in FORMATS.items() if record.write and record.read}
    assert both == {*HELD, "jsonl", "oreo-math"}


numbers = st.none() | st.sampled_from([-0.0, 5e-324, 0.1])
full_steps = st.builds(
    Step,
    observation=st.text(max_size=4),
    action=st.text(max_size=4),
    reward=st.floats(-1e300, 1e300),
    turn=st.none() | st.just("t"),
    action_valid=st.none() | st.booleans(),
    admissible_commands=st.none() | st.just(()) | st.just(("a", "b")),
    log_prob=numbers,
    value=numbers,
    candidates=st.just(()) | st.builds(lambda number: (Candidate("a", number, number), Candidate("b")), numbers),
    imitate=st.booleans(),
    continues_message=st.booleans(),
    cut=st.booleans(),
    context_start=st.integers(0, 3),
)
full = st.builds(
    Trajectory,
    env_id=st.just("toy"),
    steps=st.lists(full_steps, max_size=3).map(tuple),
    final_observation=st.text(max_size=4),
    terminated=st.just(True),
    truncated=st.booleans(),
    won=st.booleans(),
    env_kwargs=st.just({"split": "train", "sizes": [1, 2.5, None]}),
    seed=st.none() | st.just(7),
    grade=st.just("") | st.just("cut off"),
    versions=st.just({"oreo-agents": "0.1"}),
    extra=st.just({}) | st.just({"source": {"line": 3}, "note": "é"}),
)


@settings(max_examples=50, deadline=None)
@given(trajectory=full)
def test_plain_json_lines_hold_everything(trajectory: Trajectory) -> None:
    assert lost_of(FORMATS["jsonl"], trajectory) == set()


@settings(max_examples=25, deadline=None)
@given(
    lines=st.lists(st.text("ab 1=", max_size=6), min_size=1, max_size=4),
    end=st.text("ab", min_size=1),
    won=st.booleans(),
)
def test_a_solution_in_lines_is_held_by_the_releases_maths(lines: list[str], end: str, won: bool) -> None:
    steps = [Step("", line + "\n", continues_message=True) for line in lines] + [Step("", end, float(won))]
    steps[0] = replace(steps[0], observation="1 + 1?")
    trajectory = Trajectory("oreo/Math-v0", tuple(steps), "", True, False, won, task="1 + 1?")
    assert lost_of(FORMATS["oreo-math"], trajectory) == set()


T = Trajectory(
    "toy",
    (
        Step(
            "You see a box.",
            "open box",
            0.5,
            turn="I think.\nAction: open box",
            log_prob=-1.5,
            admissible_commands=("look",),
        ),
        Step("It has a key.", "take key", 0.5, candidates=(Candidate("take key"),)),
    ),
    "You win.",
    terminated=True,
    truncated=False,
    won=True,
    game="box",
    extra={"source": {"line": 3}},
)
LOST = replace(
    T, steps=(replace(T.steps[0], reward=0.0),), won=False, terminated=False, truncated=True, final_observation=""
)


def test_an_export_says_what_the_format_cannot_hold(tmp_path: Path) -> None:
    report = export([T, LOST], tmp_path / "x.json", "sharegpt")
    assert (report.episodes, report.rows) == (2, 2)
    assert report.lost == {
        "extra.source": 2,
        "steps.admissible_commands": 2,
        "steps.candidates": 1,
        "steps.log_prob": 2,
        "steps.reward": 1,
    }
    assert detect(tmp_path / "x.json").name == "sharegpt"
    first, second = json.loads((tmp_path / "x.json").read_text())
    assert first["game_file"] == "box" and [item["from"] for item in first["conversations"]] == ["human", "gpt"] * 2 + [
        "human"
    ]


@pytest.mark.parametrize("name", sorted(name for name, record in FORMATS.items() if record.write and record.read))
def test_a_file_of_each_format_is_found_out_by_looking(name: str, tmp_path: Path) -> None:
    if name == "oreo-math":
        episode = Trajectory("oreo/Math-v0", (Step("1 + 1?", "2", 1.0),), "", True, False, True)
    else:
        episode = T
    export([episode], tmp_path / "file", name)
    path = tmp_path / "file"
    (file,) = path.iterdir() if path.is_dir() else [path]
    assert detect(file).name == name


def test_a_format_that_is_written_only_says_what_it_holds(tmp_path: Path) -> None:
    report = export([T, LOST], tmp_path / "x.jsonl", "trl-kto")
    assert "steps.log_prob" in report.lost and "steps.action" not in report.lost and "won" not in report.lost
    names = {field.name for field in fields(Trajectory)} | {f"steps.{field.name}" for field in fields(Step)}
    assert all(set(record.holds) <= names for record in FORMATS.values())


def test_trl_gets_pairs_labels_and_conversations_that_end_with_a_turn(tmp_path: Path) -> None:
    read = {}
    for name in ("trl-sft", "trl-kto", "trl-preference"):
        export([T, LOST], tmp_path / name, name)
        read[name] = [row.value for row in rows(tmp_path / name)]
    user, first = {"role": "user", "content": "You see a box."}, {"role": "assistant", "content": T.steps[0].text}
    messages = [first, {"role": "user", "content": "It has a key."}, {"role": "assistant", "content": "take key"}]
    assert read["trl-sft"] == [{"messages": [user, *messages]}, {"messages": [user, first]}]
    assert read["trl-kto"][1] == {"prompt": [user], "completion": [first], "label": False}
    assert read["trl-preference"] == [{"prompt": [user], "chosen": messages, "rejected": [first]}]


def test_stepwise_labels_say_what_paid_in_the_end_and_take_one_message(tmp_path: Path) -> None:
    steps = (Step("2 + 2?", "I add.\n", 0.5, continues_message=True), Step("", "It is 5.", -1.0))
    export([Trajectory("m", steps, "", True, False, False)], tmp_path / "x", "trl-stepwise")
    (row,) = rows(tmp_path / "x")
    assert row.value == {"prompt": "2 + 2?", "completions": ["I add.\n", "It is 5."], "labels": [False, False]}
    with pytest.raises(DataError, match="no message in several steps"):
        export([T], tmp_path / "y", "trl-stepwise")


def test_nothing_is_left_of_an_export_that_fails(tmp_path: Path) -> None:
    def broken() -> Iterator[Trajectory]:
        yield T
        raise DataError("the buffer is damaged")

    with pytest.raises(DataError, match="damaged"):
        export(broken(), tmp_path / "x", "jsonl")
    with pytest.raises(DataError, match="no message in several steps"):
        export([T], tmp_path / "x", "trl-stepwise")
    with pytest.raises(UsageError, match="read only"):
        export([T], tmp_path / "x", "react")
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match=r"cannot write .*file/x \("):
        export([T], tmp_path / "file" / "x", "jsonl")
    (tmp_path / "file").unlink()
    assert list(tmp_path.iterdir()) == []
    export([T], tmp_path / "x", "jsonl")
    with pytest.raises(UsageError, match="there already"):
        export([T], tmp_path / "x", "jsonl")


def test_a_minari_dataset_is_what_the_library_reads(tmp_path: Path) -> None:
    minari = pytest.importorskip("minari")
    pytest.importorskip("h5py")
    report = export([T, LOST], tmp_path / "d", "minari")
    assert report.lost == {
        "extra": 2,
        "steps.admissible_commands": 2,
        "steps.candidates": 1,
        "steps.log_prob": 2,
        "steps.turn": 2,
    }
    episodes = list(minari.MinariDataset(tmp_path / "d" / "data").iterate_episodes())
    assert episodes[0].observations == ["You see a box.", "It has a key.", "You win."]
    assert list(episodes[0].rewards) == [0.5, 0.5] and episodes[1].truncations[-1]
    record = detect(tmp_path / "d")
    assert record.name == "minari" and record.rows is not None and record.read is not None
    back: list[Any] = [result for row in record.rows(tmp_path / "d") for result in record.read(row.value, Reading())]
    for mine, theirs in zip((T, LOST), back, strict=True):
        assert differing(mine, theirs.trajectory) <= {"extra.source", *report.lost}
    with pytest.raises(DataError, match="NUL"):
        export([replace(T, final_observation="a\0b")], tmp_path / "e", "minari")
