"""oreo.eval.terminal.export: an episode as text, as JSON that is read back, and as a picture."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from helpers.commands import run_oreo
from helpers.stored_episodes import KITCHEN
from oreo.data.buffer import TrajectoryBuffer
from oreo.errors import DataError, UsageError
from oreo.eval.terminal.export import export, free_name
from oreo.eval.terminal.replay import view_at

VIEW = view_at(KITCHEN, len(KITCHEN))


def test_the_text_is_what_is_printed_without_a_terminal(tmp_path: Path) -> None:
    export(tmp_path / "a.txt", VIEW, KITCHEN)
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert lines[-1] == "won after 5 steps, return 1" and "  2 > tkae tomato 1   (refused, V 0.50)" in lines


def test_the_json_is_imported_as_the_episode_that_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    export(Path("a.json"), VIEW, KITCHEN)
    assert run_oreo("buffer", "import", "a.json", "--into", "b", "--format", "jsonl") == 0
    (back,) = TrajectoryBuffer(tmp_path / "b")
    assert back.steps == KITCHEN.steps and back.final_observation == KITCHEN.final_observation and back.won


def test_the_picture_is_svg_that_holds_every_action_and_asks_nobody_for_a_font(tmp_path: Path) -> None:
    export(tmp_path / "a.svg", VIEW, None)
    text = (tmp_path / "a.svg").read_text()
    shown = "".join(ElementTree.fromstring(text).itertext()).replace("\xa0", " ")
    assert all(step.action in shown for step in KITCHEN.steps)
    assert "@font-face" not in text and "url(http" not in text


def test_nothing_is_overwritten_and_every_refusal_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("mine")
    for name, error, message in (
        ("a.txt", UsageError, "is there already"),
        ("a.pdf", UsageError, "the name ends with .txt, .json, .svg"),
        ("b.json", UsageError, "JSON is for episodes that have ended"),
        ("nowhere/b.txt", DataError, "cannot write"),
    ):
        with pytest.raises(error, match=message):
            export(tmp_path / name, VIEW, None)
    assert (tmp_path / "a.txt").read_text() == "mine"
    assert free_name(tmp_path, "a", "txt").name == "a-2.txt" and free_name(tmp_path, "b", "txt").name == "b.txt"
