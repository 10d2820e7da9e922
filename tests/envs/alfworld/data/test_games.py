"""The index of games on disk: alfworld's selection, a cache that never lies, errors that name the file."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from oreo.envs.alfworld.data import folder as data_folder
from oreo.envs.alfworld.data import games
from oreo.envs.alfworld.data.selection import check_floor_plans, check_objects, check_task_types
from oreo.errors import DataError, UsageError

TREE = "json_2.1.1"
DOMAIN = "(define (domain alfred))"


def add_game(data: Path, task: str, trial: str = "trial_1", *, split: str = "valid_seen", **changes: Any) -> str:
    """Write a game's two files; a change of None leaves that key out."""
    name = f"{TREE}/{split}/{task}/{trial}/game.tw-pddl"
    folder = (data / name).parent
    folder.mkdir(parents=True)
    task_type = changes.pop("task_type", "pick_and_place_simple")
    floor_plan, thing = changes.pop("floor_plan", "FloorPlan7"), changes.pop("object", "Mug")
    grammar = 'action PutObject { template :: "put {o} in/on {r}"; } "Your task is to: put a mug in desk."'
    game = {"pddl_domain": DOMAIN, "grammar": grammar, "pddl_problem": "(define)", "solvable": True} | changes
    (data / name).write_text(json.dumps({key: value for key, value in game.items() if value is not None}))
    trajectory = {
        "task_type": task_type,
        "pddl_params": {"object_target": thing},
        "scene": {"floor_plan": floor_plan},
        "turk_annotations": {"anns": [{"task_desc": "Mug to desk."}]},
    }
    (folder / "traj_data.json").write_text(json.dumps(trajectory))
    return name


def let_it_settle(data: Path) -> None:
    """Date all folders back: one changed this very moment is not indexed for good."""
    for folder, _, _ in os.walk(data):
        os.utime(folder, (time.time() - 60, time.time() - 60))


def names(data: Path, **kwargs: Any) -> list[str]:
    return [entry.name for entry in games.open_split(data, "valid_seen", **kwargs)]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "movable-Sliced-data"  # what the user calls the folder is no reason to drop anything
    folder.mkdir()
    return folder


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


def test_task_types_select(data: Path) -> None:
    add_game(data, "a-Mug")
    name = add_game(data, "look-Mug", task_type="look_at_obj_in_light")
    assert names(data, task_types=check_task_types("look_at_obj_in_light")) == [name]
    with pytest.raises(DataError, match="none of its 2 games is of type pick_two_obj_and_place"):
        names(data, task_types=("pick_two_obj_and_place",))
    with pytest.raises(UsageError, match="did you mean 'look_at_obj_in_light'"):
        check_task_types(["look_at_object_in_light"])
    with pytest.raises(UsageError, match="empty"):
        check_task_types([])


def test_one_process_reads_an_index_once_however_many_environments_open_it(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = add_game(data, "a-Mug")
    let_it_settle(data)
    assert names(data) == [name]
    monkeypatch.setattr(data_folder, "_index", None)  # what reads the file, or walks
    assert names(data) == [name]


def test_floor_plans_and_objects_select(data: Path) -> None:
    mug = add_game(data, "a-Mug", floor_plan="FloorPlan12")
    book = add_game(data, "b-Book", floor_plan="FloorPlan301", object="Book")
    cup = add_game(data, "c-Cup", floor_plan="FloorPlan7", object="Cup")

    def found(**given: Any) -> list[str]:
        places, kinds = check_floor_plans(given.get("floor_plans")), check_objects(given.get("objects"))
        return names(data, floor_plans=places, objects=kinds)

    assert found() == [mug, book, cup]
    assert found(floor_plans="Kitchen") == [mug, cup]
    assert found(floor_plans=["bedroom", 12]) == [mug, book]
    assert found(floor_plans="12") == found(floor_plans=12) == found(floor_plans=["floorplan12"]) == [mug]
    assert found(objects="MUG") == [mug]
    assert found(objects=["mug", "book"], floor_plans="Bedroom") == [book]
    with pytest.raises(DataError, match="none of its 3 games is in Bathroom and about Mug, Cup$"):
        found(floor_plans="Bathroom", objects=["mug", "cup"])
    with pytest.raises(UsageError, match=r"no game is about the object 'mugg'; choose from .* .did you mean 'Mug'"):
        found(objects="mugg")


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


@pytest.mark.parametrize(
    "name", ["", "nonsense", "../game.tw-pddl", "/etc/passwd", f"{TREE}/valid_seen/a-Mug/trial_9/game.tw-pddl"]
)
def test_an_unknown_game_is_refused(data: Path, name: str) -> None:
    add_game(data, "a-Mug")
    with pytest.raises(UsageError, match="no game"):
        games.load_game(data, name)


def test_the_nearest_game_is_suggested(data: Path) -> None:
    name = add_game(data, "a-Mug")
    with pytest.raises(UsageError, match=f"did you mean '{name}'"):
        games.load_game(data, name.replace("trial_1", "trial_2"))


def test_missing_data_is_said_with_what_to_do(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    with pytest.raises(DataError, match="ALFWORLD_DATA is not set; run `alfworld-download`"):
        games.find_data()
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match="ALFWORLD_DATA: there is no folder or pack .*nowhere"):
        games.find_data()
    with pytest.raises(DataError, match="data: .* holds no ALFWorld games"):
        games.find_data(data)
    (data / "notes.txt").write_text("no games here, and much longer than the head of a pack" * 9)
    with pytest.raises(DataError, match="data: .*notes.txt is no pack of games"):
        games.find_data(data / "notes.txt")
    with pytest.raises(DataError, match="--data: .* holds no .* give --data or ALFWORLD_DATA its folder"):
        games.find_data(data, label="--data")
    add_game(data, "a-Mug")
    with pytest.raises(DataError, match="'train' is not there .found: valid_seen."):
        games.open_split(games.find_data(data), "train")
    (data / TREE / "train").mkdir()
    with pytest.raises(DataError, match="no playable game"):
        games.open_split(data, "train")
    with pytest.raises(UsageError, match="did you mean 'valid_unseen'"):
        games.open_split(data, "valid_unsen")


def test_the_data_is_where_the_variable_says_or_where_alfworld_puts_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = tmp_path / ".cache" / "alfworld"
    add_game(usual, "a-Mug")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("ALFWORLD_DATA", raising=False)
    assert games.find_data() == usual
    add_game(tmp_path / "mine", "a-Mug")
    monkeypatch.setenv("ALFWORLD_DATA", "~/mine")
    assert games.find_data() == tmp_path / "mine"
