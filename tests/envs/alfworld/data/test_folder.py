"""A data folder: alfworld's selection, a cache that never lies, errors that name the file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from oreo.envs.alfworld.data import folder as data_folder
from oreo.envs.alfworld.data import games
from oreo.errors import DataError

from .folders import TREE, add_game, let_it_settle, names


def in_a_new_process(data: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names that a process finds which has not read of the games before."""
    monkeypatch.setattr(data_folder, "_read_before", {})
    return names(data)


@pytest.fixture
def no_walk(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("walked the folders although the index is good")

    monkeypatch.setattr(data_folder, "_walk", refuse)
    monkeypatch.setattr(data_folder, "_read_before", {})


def test_games_come_sorted_and_without_those_that_alfworld_drops(data: Path) -> None:
    kept = [add_game(data, "b-Mug"), add_game(data, "a-Mug", "trial_2"), add_game(data, "a-Mug", "trial_1")]
    add_game(data, "pick_and_place_with_movable_recep-Mug")
    add_game(data, "a-MugSliced")
    add_game(data, "unsolvable", solvable=False)
    add_game(data, "unknown", solvable=None)
    without = add_game(data, "c-Mug")
    (data / without).unlink()
    assert names(data) == sorted(kept)


def test_a_good_index_spares_the_walk(data: Path, request: pytest.FixtureRequest) -> None:
    name = add_game(data, "a-Mug")
    let_it_settle(data)
    first = games.open_split(data, "valid_seen")
    request.getfixturevalue("no_walk")
    assert (
        games.open_split(data, "valid_seen")
        == first
        == [games.Entry(name, "pick_and_place_simple", "FloorPlan7", "Mug", "put", "unknown", 1)]
    )


def test_new_and_removed_games_are_noticed(data: Path) -> None:
    one = add_game(data, "a-Mug")
    let_it_settle(data)
    assert names(data) == [one]
    two = add_game(data, "a-Mug", "trial_2")
    assert names(data) == [one, two]
    let_it_settle(data)
    assert names(data) == [one, two]
    for file in (data / one).parent.iterdir():
        file.unlink()
    (data / one).parent.rmdir()
    assert names(data) == [two]


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"version": 1}', "\x00", "[" * 100_000])
def test_a_broken_index_is_made_again(data: Path, content: str, monkeypatch: pytest.MonkeyPatch) -> None:
    name = add_game(data, "a-Mug")
    let_it_settle(data)
    assert names(data) == [name]
    index = data / ".oreo-index-valid_seen.json"
    good = index.read_text()
    index.write_text(content)
    assert in_a_new_process(data, monkeypatch) == [name] and index.read_text() == good


def test_an_index_with_a_good_head_and_a_broken_list_is_made_again(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = add_game(data, "a-Mug")
    let_it_settle(data)
    assert names(data) == [name]
    index = data / ".oreo-index-valid_seen.json"
    content = json.loads(index.read_text())
    for broken in (None, [1], [["only a name"]], [[name, None, 3, {}, 0, 0, ""]]):
        index.write_text(json.dumps(content | {"games": broken}))
        assert in_a_new_process(data, monkeypatch) == [name]


def test_where_the_data_cannot_be_written_the_index_goes_to_the_users_cache(
    data: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    name = add_game(data, "a-Mug")
    let_it_settle(data)
    make_temporary = data_folder.tempfile.mkstemp

    def read_only_data(dir: Path, **kwargs: Any) -> Any:
        if dir == data:
            raise PermissionError("read-only")
        return make_temporary(dir=dir, **kwargs)

    monkeypatch.setattr(data_folder.tempfile, "mkstemp", read_only_data)
    assert names(data) == [name]
    assert [path.name for path in data.iterdir()] == [TREE]
    request.getfixturevalue("no_walk")
    assert names(data) == [name]


def test_where_nothing_can_be_written_games_are_found_all_the_same(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = add_game(data, "a-Mug")
    let_it_settle(data)
    (data.parent / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(data.parent / "file"))
    monkeypatch.setattr(data_folder, "_places", lambda *_: [data.parent / "file" / "index.json"])
    assert names(data) == [name]


def test_no_temporary_file_is_left(data: Path) -> None:
    add_game(data, "a-Mug")
    let_it_settle(data)
    names(data)
    assert sorted(path.name for path in data.iterdir()) == [".oreo-index-valid_seen.json", TREE]


def test_one_process_reads_an_index_once_however_many_environments_open_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = add_game(data, "a-Mug")
    let_it_settle(data)
    assert names(data) == [name]
    monkeypatch.setattr(data_folder, "_index", None)  # what reads the file, or walks
    assert names(data) == [name]


def test_a_split_is_opened_in_full_or_not_at_all(data: Path) -> None:
    add_game(data, "a-Mug")
    broken = [data / add_game(data, f"{letter}-Mug") for letter in "cb"]
    for path in broken:
        path.write_text("{")
    with pytest.raises(DataError) as caught:
        names(data)
    assert str(broken[1]) in str(caught.value) and "2 games of this split are broken" in str(caught.value)
    assert "remove its folder" in str(caught.value) and "\n" not in str(caught.value)


def test_a_game_is_read_whole(data: Path) -> None:
    game = games.load_game(data, add_game(data, "a-Mug"))
    assert (game.task, game.task_type, game.dialect) == ("put a mug in desk.", "pick_and_place_simple", "put")
    assert (game.params, game.floor_plan, game.human_goals) == (
        {"object_target": "Mug"},
        "FloorPlan7",
        ("Mug to desk.",),
    )


@pytest.mark.parametrize(
    ("file", "content", "says"),
    [
        ("game.tw-pddl", "{", "cannot be read"),
        ("game.tw-pddl", "[]", "expected a JSON object and found list"),
        ("game.tw-pddl", '{"solvable": true}', "'pddl_domain' is missing"),
        ("game.tw-pddl", '{"solvable": true, "pddl_domain": "", "grammar": "x", "pddl_problem": "x"}', "'pddl_domain'"),
        ("game.tw-pddl", b"\xff\xfe", "cannot be read"),
        ("traj_data.json", "{}", "it has no 'task_type'"),
        ("traj_data.json", '{"task_type": 3, "pddl_params": {}, "scene": {"floor_plan": "x"}}', "its task_type is 3"),
        ("traj_data.json", '{"task_type": "x", "pddl_params": 7, "scene": {}}', "malformed"),
        ("traj_data.json", '{"turk_annotations": []}', "malformed"),
        ("traj_data.json", "", "cannot be read"),
    ],
)
def test_a_malformed_file_is_named_in_one_line(data: Path, file: str, content: str | bytes, says: str) -> None:
    name = add_game(data, "a-Mug")
    path = (data / name).parent / file
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    for read in (lambda: games.load_game(data, name), lambda: games.open_split(data, "valid_seen")):
        with pytest.raises(DataError) as caught:
            read()
        assert str(path) in str(caught.value) and says in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("brackets", [200, 900, 50_000])
@pytest.mark.parametrize(
    "field", ["task_type", "pddl_params", "scene", "floor_plan", "turk_annotations", "anns", "other"]
)
def test_a_trajectory_nested_too_deeply_is_read_or_told_in_one_line(data: Path, field: str, brackets: int) -> None:
    name = add_game(data, "a-Mug")
    path = (data / name).parent / "traj_data.json"
    content = json.loads(path.read_text())
    inner = {"floor_plan": "scene", "anns": "turk_annotations"}.get(field)
    (content[inner] if inner else content)[field] = "deep"
    path.write_text(json.dumps(content).replace('"deep"', "[" * brackets + "]" * brackets))
    for read in (lambda: games.load_game(data, name), lambda: games.open_split(data, "valid_seen")):
        try:
            read()
        except DataError as refusal:
            assert str(path) in str(refusal) and "\n" not in str(refusal)
            assert len(str(refusal)) < len(str(path)) + 200
        else:
            assert field in ("other", "anns")  # nobody looks there
