"""A pack gives the very games it was made from, to every process, and never half of them."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.envs.alfworld.data import games, pack
from oreo.envs.alfworld.env import ALFWorldEnv
from oreo.envs.alfworld.game import Game
from oreo.envs.alfworld.generation.generator import write_games
from oreo.errors import DataError, OreoError, UsageError


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five games to train on and two held-out ones, the first of them with what people wrote."""
    folder = tmp_path_factory.mktemp("data")
    paths = write_games(5, folder, max_receptacles=4, max_objects=4)
    write_games(2, folder, heldout=True, max_receptacles=4, max_objects=4)
    file = paths[0].parent / "traj_data.json"
    content = json.loads(file.read_text())
    content["turk_annotations"]["anns"] = [{"task_desc": 'Café "au lait"\n'}, {"task_desc": "Put it down"}]
    file.write_text(json.dumps(content))
    return folder


@pytest.fixture(scope="module")
def packed_once(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("packed") / "games.pack"
    games.pack_games(data, file)
    return file


@pytest.fixture
def packed(packed_once: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(packed_once, tmp_path))


def all_games(data: Path) -> list[tuple[str, Game]]:
    splits = games.splits(data)
    return [(split, games.load_game(data, entry.name)) for split in splits for entry in games.open_split(data, split)]


def test_a_pack_holds_the_games_of_the_tree_to_the_byte(data: Path, packed: Path) -> None:
    assert games.splits(packed) == games.splits(data) == ["train", "valid_unseen"]
    for split in games.splits(data):
        assert games.open_split(packed, split) == games.open_split(data, split)
    assert all_games(packed) == all_games(data)
    assert sum(len(game.human_goals) for _, game in all_games(packed)) == 2


def test_a_pack_can_be_packed_again_and_some_splits_left_out(data: Path, packed: Path, tmp_path: Path) -> None:
    seen: list[tuple[int, int]] = []
    some = tmp_path / "new" / "some.pack"
    counts = games.pack_games(packed, some, ["valid_unseen"], progress=lambda *at: seen.append(at))
    assert counts == {"valid_unseen": 2} and seen == [(1, 2), (2, 2)]
    assert all_games(some) == [pair for pair in all_games(data) if pair[0] == "valid_unseen"]
    with pytest.raises(DataError, match="the split 'train' is not there .found: valid_unseen."):
        games.open_split(some, "train")
    with pytest.raises(UsageError, match="did you mean 'train'"):
        games.pack_games(data, tmp_path / "other.pack", ["trian"])


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SENTENCE = st.builds('{}"Your task is to: {}"{}'.format, TEXT, TEXT, TEXT)
JSON = st.recursive(st.none() | st.booleans() | st.integers() | TEXT, lambda inner: st.lists(inner), max_leaves=3)
GAMES = st.builds(
    Game,
    name=TEXT,
    pddl_domain=TEXT,
    grammar=SENTENCE | TEXT,
    pddl_problem=TEXT,
    task_type=TEXT,
    params=st.dictionaries(TEXT, JSON, max_size=3),
    floor_plan=TEXT,
    human_goals=st.lists(TEXT, max_size=3).map(tuple),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(GAMES, max_size=4, unique_by=lambda game: game.name))
def test_every_text_comes_back_as_it_went_in(tmp_path_factory: pytest.TempPathFactory, written: list[Game]) -> None:
    file = tmp_path_factory.mktemp("packs") / "any.pack"
    pack.write_pack(file, (("train", game) for game in written))
    assert [pack.pack_game(file, game.name) for game in written] == written
    assert [entry.name for entry in pack.pack_entries(file, "train")] == sorted(game.name for game in written)


def test_texts_that_games_share_are_stored_once_and_other_programs_can_read_them(packed: Path) -> None:
    with sqlite3.connect(packed) as database:
        assert database.execute("SELECT count(*), count(DISTINCT grammar) FROM games").fetchone() == (7, 1)
        assert database.execute("SELECT count(*) FROM texts").fetchone() == (1 + 1 + 7,)
        tasks = {task for (task,) in database.execute("SELECT task FROM games")}
    database.close()
    assert tasks == {game.task for _, game in all_games(packed)}


def test_a_name_that_is_not_there_is_answered_with_the_nearest(packed: Path) -> None:
    name = games.open_split(packed, "train")[0].name
    with pytest.raises(UsageError, match=f"no game '{name[:-1]}' in .*games.pack: did you mean '{name}'"):
        games.load_game(packed, name[:-1])
    with pytest.raises(UsageError, match="a name is the path of a game.tw-pddl"):
        games.load_game(packed, "nonsense")


# Files that are no good.


def cut(content: bytes, share: float) -> bytes:
    return content[: int(len(content) * share)]


BAD = {
    "empty": lambda good: b"",
    "text": lambda good: b"not a pack " * 99,
    "head": lambda good: good[:72],
    "half": lambda good: cut(good, 0.5),
    "nearly": lambda good: cut(good, 0.97),
    "zeros": lambda good: good[:100] + bytes(len(good) - 100),
    "noise": lambda good: good[:4096] + bytes(range(256)) * (len(good) // 256),
}


@pytest.mark.parametrize("what", BAD)
def test_a_broken_or_foreign_file_is_one_line_that_names_it(packed: Path, what: str) -> None:
    name = games.open_split(packed, "train")[0].name
    bad = packed.with_name("bad.pack")
    bad.write_bytes(BAD[what](packed.read_bytes()))
    for read in (lambda: ALFWorldEnv(split="train", data=bad).reset(seed=0), lambda: games.load_game(bad, name)):
        with pytest.raises(DataError) as caught:
            read()
        assert str(bad) in str(caught.value) and "\n" not in str(caught.value)


def read_all(file: Path, names: dict[str, list[str]]) -> dict[str, Any]:
    """The splits, their entries and their games, as far as they can be read; else the errors."""
    read: dict[str, Any] = {}
    for split, of_split in names.items():
        for name, reading in {
            split: lambda split=split: games.open_split(games.find_data(file), split),
            **{name: lambda name=name: games.load_game(file, name) for name in of_split},
        }.items():
            try:
                read[name] = reading()
            except OreoError as error:
                assert "\n" not in str(error)
                read[name] = error
    return read


@pytest.mark.parametrize("seed", range(3))
def test_each_flipped_bit_is_found_or_harmless(
    packed_once: Path, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("flipped")
    names = {
        split: [entry.name for entry in games.open_split(packed_once, split)] for split in games.splits(packed_once)
    }
    good, content = read_all(packed_once, names), packed_once.read_bytes()
    rng = random.Random(seed)
    refused = 0
    for number in range(250):
        flipped = bytearray(content)
        for _ in range(rng.choice([1, 1, 1, 5])):
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        file = folder / f"{number}.pack"
        file.write_bytes(flipped)
        for name, value in read_all(file, names).items():
            assert isinstance(value, OreoError) or value == good[name], (number, name)
            refused += isinstance(value, OreoError)
        file.unlink()
    assert refused > 100


def as_version_1(file: Path) -> Path:
    """The same games in a pack as the version before wrote it."""
    old = file.with_name("old.pack")
    with sqlite3.connect(old) as database:
        header = pack._HEADER.replace(f"user_version = {pack.VERSION}", "user_version = 1")
        database.executescript(header + pack._SCHEMAS[1])
        database.execute("ATTACH ? AS new", (str(file),))
        columns = ", ".join(row[1] for row in database.execute("PRAGMA main.table_info(games)"))
        database.execute("INSERT INTO main.texts SELECT * FROM new.texts")
        database.execute(f"INSERT INTO main.games SELECT {columns} FROM new.games")
        database.execute(pack._INDEX)
    database.close()
    return old


def test_a_pack_of_the_version_before_is_read(data: Path, packed: Path) -> None:
    old = as_version_1(packed)
    assert games.splits(old) == games.splits(data) and all_games(old) == all_games(data)
    games.pack_games(old, old)
    assert old.read_bytes() == packed.read_bytes()


CHANGES = {
    "a task sentence": ("UPDATE games SET task = 'put some mug on deskl`mp.'", "not what was written"),
    "a text": ("UPDATE texts SET text = (SELECT text FROM texts WHERE id = 1) WHERE id = 3", "not what was written"),
    "a game's texts": ("UPDATE games SET problem = domain", "not what was written"),
    "a game's name": ("UPDATE games SET name = name || 'x'", "entries of train are not those"),
    "a type of task": ("UPDATE games SET task_type = 'look_at_obj_in_light'", "entries of train are not those"),
    "a game that is gone": ("DELETE FROM games WHERE rowid = 1", "entries of train are not those"),
    "a game of another split": ("UPDATE games SET split = 'train'", "entries of train are not those"),
    "a split that is gone": ("DELETE FROM splits WHERE split = 'valid_unseen'", "entries of train are not those"),
    "a view": ("DROP TABLE splits; CREATE VIEW splits AS SELECT 'train' AS split, '' AS digest", "not those of a pack"),
    "another table": ("CREATE TABLE more (x)", "not those of a pack"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_has_been_changed_is_found(packed: Path, change: str) -> None:
    statement, says = CHANGES[change]
    with sqlite3.connect(packed) as database:
        database.executescript(statement)
    database.close()
    with pytest.raises(DataError, match=says):
        all_games(packed)


BOMBS = {
    "a text that unpacks to a gigabyte": ("text", zlib.compress(bytes(1 << 28), 9), "longer than"),
    "a text that is cut off": ("text", zlib.compress(b"abc" * 99)[:-3], "cut off"),
    "params nested too deeply": ("params", "[" * 50_000 + "]" * 50_000, "broken pack"),
    "human goals nested too deeply": ("human_goals", "[" * 50_000 + "]" * 50_000, "broken pack"),
    "params of another type": ("params", "[1]", "another type"),
    "human goals of another type": ("human_goals", "[1]", "another type"),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_what_would_exhaust_memory_or_the_stack_is_one_line_at_once(
    packed: Path, bomb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = as_version_1(packed)  # without digests, so that nothing else refuses it
    column, value, says = BOMBS[bomb]
    table = "texts" if column == "text" else "games"
    names = [entry.name for entry in games.open_split(old, "train")]
    with sqlite3.connect(old) as database:
        database.execute(f"UPDATE {table} SET {column} = ?", (value,))
    database.close()
    began = time.process_time()  # the machine may be busy with other tests
    with pytest.raises(DataError, match=says) as caught:
        games.load_game(old, names[0])
    assert "\n" not in str(caught.value) and time.process_time() - began < 60


def test_a_text_too_long_to_be_read_again_is_not_packed(tmp_path: Path, data: Path) -> None:
    (_, game), *_ = all_games(data)
    long = replace(game, pddl_problem=" " * (pack.MAX_TEXT + 1))
    with pytest.raises(DataError, match="cannot be packed .a text of"):
        pack.write_pack(tmp_path / "games.pack", [("train", long)])


def test_another_programs_database_and_another_version_are_refused(packed: Path) -> None:
    foreign = packed.with_name("foreign.db")
    with sqlite3.connect(foreign) as database:
        database.execute("CREATE TABLE games (name TEXT)")
    database.close()
    with pytest.raises(DataError, match="data: .*foreign.db is no pack of games; `oreo games pack` makes one"):
        games.find_data(foreign)
    with sqlite3.connect(packed) as database:
        database.execute("PRAGMA user_version = 99")
    database.close()
    with pytest.raises(DataError, match="a pack of version 99, and this is for version 2; make it again"):
        games.open_split(games.find_data(packed), "train")


# Writing.


def test_what_is_no_pack_is_never_overwritten(data: Path, tmp_path: Path) -> None:
    precious = tmp_path / "thesis.tex"
    precious.write_text("precious")
    for output, says in ((precious, "no pack of games and stays as it is"), (tmp_path, "is a folder; give the name")):
        with pytest.raises(UsageError, match=says):
            games.pack_games(data, output)
    assert precious.read_text() == "precious" and [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


@pytest.mark.parametrize("stop", [KeyboardInterrupt, RuntimeError])
def test_an_interrupted_pack_leaves_what_was_there_and_nothing_else(
    data: Path, packed: Path, stop: type[BaseException]
) -> None:
    before = packed.read_bytes()

    def interrupt(done: int, total: int) -> None:
        if done == 3:
            raise stop

    for output in (packed, packed.with_name("new.pack")):
        with pytest.raises(stop):
            games.pack_games(data, output, progress=interrupt)
    assert [path.name for path in packed.parent.iterdir()] == [packed.name]
    assert packed.read_bytes() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_one_line(data: Path, tmp_path: Path) -> None:
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    with pytest.raises(DataError, match="cannot be written"):
        games.pack_games(data, tmp_path / "games.pack")


def test_a_file_in_the_way_of_the_folder_is_one_line(data: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="games.pack: cannot be written .*file"):
        games.pack_games(data, tmp_path / "file" / "games.pack")


def test_a_game_that_cannot_be_stored_is_named(data: Path, tmp_path: Path) -> None:
    (_, game), *_ = all_games(data)
    for written, says in (([game, game], "UNIQUE"), ([replace(game, pddl_problem="\ud800")], "no valid Unicode")):
        with pytest.raises(DataError, match=f"cannot be packed.*{says}"):
            pack.write_pack(tmp_path / "games.pack", [("train", one) for one in written])
    assert list(tmp_path.iterdir()) == []


# Many readers.


def test_a_pack_that_is_made_anew_is_noticed(data: Path, packed: Path) -> None:
    env = ALFWorldEnv(split="train", data=packed)
    first = env.reset(seed=1)
    games.pack_games(data, packed, ["valid_unseen"])
    assert games.splits(packed) == ["valid_unseen"]
    with pytest.raises(UsageError, match="no game"):
        env.reset(seed=1)
    games.pack_games(data, packed)
    assert env.reset(seed=1) == first
    packed.unlink()
    with pytest.raises(DataError, match=r"games.pack"):
        env.reset(seed=1)


def first_words(env: ALFWorldEnv) -> list[str]:
    return [env.reset(seed=seed)[0] for seed in range(6)]


READERS = """
import multiprocessing
import sys

from oreo.envs.alfworld.env import ALFWorldEnv


def first_words(env):
    return [env.reset(seed=seed)[0] for seed in range(6)]


if __name__ == "__main__":
    packed, method = sys.argv[1:]
    env = ALFWorldEnv(split="train", data=packed)
    expected = first_words(env)
    with multiprocessing.get_context(method).Pool(2) as pool:
        assert pool.map(first_words, [env] * 4) == [expected] * 4
        assert first_words(env) == expected
"""
FORKED = """
import multiprocessing
import sys
from pathlib import Path

from oreo.envs.alfworld.data import pack

packed = Path(sys.argv[1])


def connection():
    return pack._connection(packed, pack._stamp(packed))


def in_the_child(answers):
    answers.put(connection() is mine)


mine = connection()
assert connection() is mine
context = multiprocessing.get_context("fork")
answers = context.SimpleQueue()
child = context.Process(target=in_the_child, args=(answers,))
child.start()
assert answers.get() is False
child.join()
"""


def run_alone(script: str, folder: Path, *words: object) -> None:
    """In a process that has no threads yet: one that forks with others' threads may wait for their locks for ever."""
    file = folder / "alone.py"
    file.write_text(script)
    subprocess.run([sys.executable, str(file), *map(str, words)], check=True, timeout=300)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_worker_processes_read_beside_each_other_and_beside_their_parent(
    packed: Path, method: str, tmp_path: Path
) -> None:
    run_alone(READERS, tmp_path, packed, method)


def test_a_forked_process_opens_the_pack_for_itself(packed: Path, tmp_path: Path) -> None:
    run_alone(FORKED, tmp_path, packed)


def test_threads_read_beside_each_other(packed: Path) -> None:
    expected = all_games(packed)
    results: list[Any] = []
    threads = [threading.Thread(target=lambda: results.append(all_games(packed))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 4


@pytest.fixture
def odd_place(packed: Path) -> Iterator[Path]:
    folder = packed.parent / "a b%20?mode=rw#ü"
    folder.mkdir()
    yield Path(shutil.copy(packed, folder / "games & more.pack"))


def test_a_pack_lies_wherever_it_likes_and_is_only_read(odd_place: Path, data: Path, monkeypatch: Any) -> None:
    odd_place.chmod(0o444)
    monkeypatch.setenv("ALFWORLD_DATA", str(odd_place))
    env = ALFWorldEnv(split="valid_unseen")
    assert first_words(env) == first_words(ALFWorldEnv(split="valid_unseen", data=data))
    assert [path.name for path in odd_place.parent.iterdir()] == [odd_place.name]
    monkeypatch.chdir(odd_place.parent)
    assert first_words(ALFWorldEnv(split="valid_unseen", data=odd_place.name)) == first_words(env)
