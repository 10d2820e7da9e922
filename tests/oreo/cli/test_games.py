"""`oreo games`: generating, packing, counting."""

from __future__ import annotations

import json
import re


def test_generated_games_are_written_and_then_counted(oreo, tmp_path, monkeypatch) -> None:
    folder = tmp_path / "games"
    assert oreo("games", "generate", "--count", 3, "--output", folder)[0] == 0
    assert oreo("games", "generate", "--count", 2, "--output", folder, "--heldout")[0] == 0
    monkeypatch.setenv("ALFWORLD_DATA", str(folder))
    counted = json.loads(oreo("games", "info", "--json")[1])["games"]
    assert {split: sum(kinds.values()) for split, kinds in counted.items()} == {"train": 3, "valid_unseen": 2}
    result = json.loads(oreo("eval", "--agent", "expert", "--split", "train", "--json")[1])
    assert (result["episodes"], result["protocol"]["games"]) == (3, 3)


def test_packed_games_serve_wherever_the_folder_does(oreo, tmp_path, monkeypatch) -> None:
    assert oreo("games", "generate", "--count", 4, "--output", "games")[0] == 0
    assert oreo("games", "generate", "--count", 1, "--output", "games", "--heldout")[0] == 0
    code, out, error = oreo("games", "pack", "--data", "games", "--output", "all.pack", "--json")
    assert code == 0, error
    size = (tmp_path / "all.pack").stat().st_size
    assert json.loads(out) == {"pack": "all.pack", "games": {"train": 4, "valid_unseen": 1}, "bytes": size}
    infos = [json.loads(oreo("games", "info", "--data", data, "--json")[1]) for data in ("games", "all.pack")]
    assert [(info.pop("kind"), info.pop("data")) for info in infos] == [("folder", "games"), ("pack", "all.pack")]
    assert infos[0] == infos[1]
    monkeypatch.setenv("ALFWORLD_DATA", "all.pack")
    command = ["eval", "--agent", "expert", "--split", "train", "--json"]
    by_variable, by_option = json.loads(oreo(*command)[1]), json.loads(oreo(*command, "--env-arg", "data=all.pack")[1])
    assert by_variable["protocol"]["games"] == 4
    assert by_variable["by_task_type"] == by_option["by_task_type"]
    code, _, error = oreo("collect", "--split", "train", "--env-arg", "data=all.pack", "--episodes", 2, "--into", "b")
    assert code == 0, error


def test_the_table_of_games_fits_into_80_columns_and_says_versions(oreo, monkeypatch) -> None:
    for dialect, more in (("put", []), ("move", ["--heldout"])):
        assert oreo("games", "generate", "--count", 6, "--output", "games", "--dialect", dialect, *more)[0] == 0
    code, out, error = oreo("games", "info", "--data", "games")
    assert code == 0, error
    assert max(map(len, out.splitlines())) <= 80
    rows = {cells[0]: cells[1:] for cells in (re.split(r" *[│┃] *", line)[1:-1] for line in out.splitlines()) if cells}
    assert out.startswith("games (folder, json_2.1.1)")
    assert rows["task type"] == ["train", "valid_unseen"]
    assert rows["all"] == ["6", "6"]
    assert rows["dialect"] == ["put", "move"]
    assert rows["engine"] == ["simulator", "simulator"]
    assert rows["rules of alfworld"] == ["before 0.4", "0.4"]
    assert rows["goals written by people"] == ["0", "0"]


def test_what_is_no_place_of_games_is_named_as_the_user_named_it(oreo, tmp_path) -> None:
    (tmp_path / "notes.txt").write_text("notes")
    for data in ("/nope", "notes.txt", "."):
        for command in (["info"], ["pack", "--output", "all.pack"]):
            code, out, error = oreo("games", *command, "--data", data)
            assert (code, out, error.count("\n")) == (1, "", 1)
            assert error.startswith("oreo: --data: ") and "generated" not in error, error
    assert oreo("games", "generate", "--count", 1, "--output", "games")[0] == 0
    code, out, error = oreo("games", "pack", "--data", "games", "--output", "notes.txt")
    assert (code, out) == (2, "") and "notes.txt is no pack of games and stays as it is" in error
    assert (tmp_path / "notes.txt").read_text() == "notes"


def test_games_of_a_split_are_drawn_from_the_seed(oreo, tmp_path, monkeypatch) -> None:
    """Not the first ones: sorted by name, those would be all of one task type."""
    from oreo.data.buffer import TrajectoryBuffer

    oreo("games", "generate", "--count", 12, "--output", "data")
    monkeypatch.setenv("ALFWORLD_DATA", str(tmp_path / "data"))
    drawn = []
    for seed in (0, 1):
        assert oreo("collect", "--split", "train", "--episodes", 5, "--seed", seed, "--into", f"b{seed}")[0] == 0
        drawn.append([episode.game for episode in TrajectoryBuffer(tmp_path / f"b{seed}")])
        _, printed, _ = oreo("watch", "--agent", "expert", "--split", "train", "--seed", seed, "--delay", 0)
        drawn.append(printed.splitlines()[1])
    assert len(set(drawn[0])) == len(set(drawn[2])) == 5
    assert set(drawn[0]) != set(drawn[2]) and drawn[1] != drawn[3]
