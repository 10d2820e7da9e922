"""Where the games are, which there are, and one of them by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from oreo.envs.alfworld.data import games
from oreo.errors import DataError, UsageError

from .folders import TREE, add_game


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
