"""Names of game files, and the line where a game waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from oreo.envs.story_files import story_file, story_files, without_prompt
from oreo.errors import UsageError


def playable(file: Path) -> bool:
    return file.suffix in (".z5", ".z8")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\nTaken.\n\n>      -= Kitchen =-0/2", "Taken."),
        ("West of House\n\n>", "West of House"),
        ("You read: > 5 apples", "You read: > 5 apples"),
        (
            "The screen shows\n> RUN\nand goes dark.\n\n*** The End ***",
            "The screen shows\n> RUN\nand goes dark.\n\n*** The End ***",
        ),
        ("The screen shows\n> RUN\n\n>", "The screen shows\n> RUN"),
        ("", ""),
    ],
)
def test_only_the_line_at_the_end_where_it_waits_is_no_part_of_what_a_game_says(text: str, told: str) -> None:
    assert without_prompt(text) == told


def test_games_are_called_after_their_files_and_two_of_one_name_by_their_whole_names(tmp_path: Path) -> None:
    for name in ("b.z5", "a.z8", "c.z5", "c.z8", "notes.txt"):
        (tmp_path / name).write_text("")
    files = story_files(tmp_path, playable, "")
    assert {name: file.name for name, file in files.items()} == {
        "a": "a.z8",
        "b": "b.z5",
        "c.z5": "c.z5",
        "c.z8": "c.z8",
    }
    assert list(files) == sorted(files) and story_file(files, "c.z5") == tmp_path / "c.z5"
    with pytest.raises(UsageError, match="choose from a, b, c.z5, c.z8"):
        story_file(files, "c.z")


def test_what_is_no_game_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    for place, message in (
        (tmp_path / "none.z5", "no such game file or folder"),
        (tmp_path, "no game in it .looked for z5 or z8."),
        (tmp_path / "notes.txt", "expected a game, z5 or z8"),
    ):
        with pytest.raises(UsageError, match=message):
            story_files(place, playable, "z5 or z8")
