"""All games of a data folder in one file: opened in milliseconds, any game read at random, nothing to unpack.

A pack is an SQLite database, so any program can look into it:

    games   a row a game: name, split, task type, floor plan, …, the task sentence, and which texts it is made of
    texts   id, zlib-compressed UTF-8; a text that games share (domain, grammar) is there once
    splits  a row a split, with a digest of the entries of all its games

The row of a game has a digest of all that makes the game, its texts included; so what is read is what was written, or
the pack is said to be broken. (Packs of version 1 have neither digests nor the third table. They are read as they are.)
The grammar of a game is its text with the task sentence in place of the one NUL character. A pack is written under
another name and renamed, then never changed: readers need no locks.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import zlib
from collections.abc import Iterable
from contextlib import closing, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from oreo.envs.alfworld.data.entry import Entry, describe, whole
from oreo.envs.alfworld.game import Game, split_at_task
from oreo.errors import DataError, UsageError

APPLICATION_ID = 0x6F72656F  # "oreo" in the file's header, so that `file` and we know a pack from other databases
VERSION = 2
WITHOUT_DIGESTS = 1
"""The version before, which is read, too."""
MAX_TEXT = 32 << 20
"""Bytes of one text unpacked. The longest of the real games have a hundredth of that."""
_SLOT = "\0"
_AGAIN = "make it again with `oreo games pack`"
_TABLES = """
CREATE TABLE texts (id INTEGER PRIMARY KEY, text BLOB NOT NULL);
CREATE TABLE games (
    name TEXT PRIMARY KEY, split TEXT NOT NULL, task_type TEXT NOT NULL, floor_plan TEXT NOT NULL,
    object TEXT NOT NULL, dialect TEXT NOT NULL, rules TEXT NOT NULL, goals INTEGER NOT NULL,
    task TEXT, params TEXT NOT NULL, human_goals TEXT NOT NULL,
    domain INTEGER NOT NULL REFERENCES texts, grammar INTEGER NOT NULL REFERENCES texts,
    problem INTEGER NOT NULL REFERENCES texts{digest}
);
"""
_SCHEMAS = {
    WITHOUT_DIGESTS: _TABLES.format(digest=""),
    VERSION: _TABLES.format(digest=", digest TEXT NOT NULL")
    + "CREATE TABLE splits (split TEXT PRIMARY KEY, digest TEXT NOT NULL);",
}
_HEADER = f"""
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
PRAGMA journal_mode = OFF;
"""
_ENTRY = "name, task_type, floor_plan, object, dialect, rules, goals"
_INDEX = f"CREATE INDEX by_split ON games (split, {_ENTRY})"
_ENTRIES = f"SELECT {_ENTRY} FROM games WHERE split = ? ORDER BY name"
_GAME = f"""
SELECT split, {_ENTRY}, task, params, human_goals, domain, grammar, texts.text{{digest}}
FROM games JOIN texts ON texts.id = games.problem WHERE name = ?
"""

Stamp = tuple[int, int, int]
"""What tells one state of a file from another: inode, mtime, size."""

_read_before: dict[tuple[Path, str], tuple[Stamp, tuple[Entry, ...]]] = {}
_local = threading.local()


def write_pack(output: Path, games: Iterable[tuple[str, Game]]) -> None:
    """Write a pack. Until it is complete, `output` stays as it was.

    Args:
        games: split and game, in any order.
    Raises:
        UsageError: what is at `output` is no pack.
        DataError: a game that cannot be stored, or a folder that cannot be written.
    """
    check_output(output)
    temporary = output.with_name(f".{output.name}-{os.getpid()}.tmp")
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        with closing(sqlite3.connect(temporary)) as database:
            database.executescript(_HEADER + _SCHEMAS[VERSION])
            stored: dict[str, int] = {}
            for split, game in games:
                _insert(database, stored, split, game)
            database.execute(_INDEX)
            _insert_splits(database)
            database.commit()
        os.replace(temporary, output)
    except (OSError, sqlite3.OperationalError) as error:
        raise DataError(f"{output}: cannot be written ({error})") from error
    finally:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)


def check_output(output: Path) -> None:
    """Raises UsageError where a pack would overwrite something else."""
    if output.is_dir():
        raise UsageError(f"{output} is a folder; give the name of a file, such as {output / 'alfworld.pack'}")
    if output.exists() and not is_pack(output):
        raise UsageError(f"{output} is no pack of games and stays as it is; give another name")


def is_pack(path: Path) -> bool:
    """Return whether a file says of itself that it is a pack, of whatever version."""
    try:
        with path.open("rb") as file:
            head = file.read(72)
    except OSError:
        return False
    return head.startswith(b"SQLite format 3\0") and head[68:72] == APPLICATION_ID.to_bytes(4, "big")


def pack_splits(path: Path) -> list[str]:
    """The splits that a pack holds games of, sorted."""
    return sorted(split for split, _ in _split_digests(path, _stamp(path)))


def pack_entries(path: Path, split: str) -> tuple[Entry, ...]:
    """The games of a split, sorted by name; none if there is no such split. Raises DataError for a broken pack."""
    key, stamp = (path.absolute(), split), _stamp(path)
    before = _read_before.get(key)
    if before is not None and before[0] == stamp:
        return before[1]
    digests = dict(_split_digests(path, stamp))
    rows = _ask(path, stamp, _ENTRIES, split) if split in digests else []
    if split in digests and digests[split] not in ("", _digest(sorted(digests), split, rows)):
        raise DataError(f"{path}: broken pack, the entries of {split} are not those that were written; {_AGAIN}")
    entries = tuple(Entry(*row) for row in rows)
    if not all(map(whole, entries)):
        raise DataError(f"{path}: broken pack, an entry of {split} has values of other types; {_AGAIN}")
    _read_before[key] = (stamp, entries)
    return entries


def pack_game(path: Path, name: str) -> Game | None:
    """Read one game; None if there is none of that name. Raises DataError for a broken pack."""
    stamp = _stamp(path)
    digests = _version(path, stamp) != WITHOUT_DIGESTS
    rows = _ask(path, stamp, _GAME.format(digest=", digest" if digests else ""), name)
    if not rows:
        return None
    split, *entry, task, params, human_goals, domain, grammar, problem = rows[0][: len(rows[0]) - digests]
    try:
        texts = [*(_shared_text(path, stamp, number) for number in (domain, grammar)), _unpacked(problem)]
        if digests and rows[0][-1] != _digest(split, *entry, task, params, human_goals, *texts):
            raise ValueError("it is not what was written")
        frame = texts[1]
        if task is not None and frame.count(_SLOT) != 1:
            raise ValueError("its grammar has no one place for the task sentence")
        game = Game(
            name=name,
            pddl_domain=texts[0],
            grammar=frame if task is None else frame.replace(_SLOT, task),
            pddl_problem=texts[2],
            task_type=entry[1],
            params=json.loads(params),
            floor_plan=entry[2],
            human_goals=tuple(json.loads(human_goals)),
        )
        if not (isinstance(game.params, dict) and all(isinstance(goal, str) for goal in game.human_goals)):
            raise ValueError("its params or human_goals are of another type")
        return game
    except (ValueError, TypeError, IndexError, RecursionError, zlib.error) as error:
        raise DataError(f"{path}: broken pack, at {name} ({error}); {_AGAIN}") from error


# Writing.


def _insert(database: sqlite3.Connection, stored: dict[str, int], split: str, game: Game) -> None:
    name, *facts = vars(describe(game)).values()
    frame, task = _frame(game.grammar)
    try:
        texts = (game.pddl_domain, frame, game.pddl_problem)
        columns = [*facts, task, json.dumps(game.params), json.dumps(game.human_goals)]
        numbers = [_store(database, stored, text) for text in texts]
        row = [name, split, *columns, *numbers, _digest(split, name, *columns, *texts)]
        database.execute(f"INSERT INTO games VALUES ({', '.join('?' * len(row))})", row)
    except UnicodeEncodeError as error:
        raise DataError(f"{ascii(game.name)}: cannot be packed, it is no valid Unicode ({error.reason})") from error
    except (sqlite3.IntegrityError, ValueError) as error:
        raise DataError(f"{game.name}: cannot be packed ({error})") from error


def _insert_splits(database: sqlite3.Connection) -> None:
    splits = [split for (split,) in database.execute("SELECT DISTINCT split FROM games ORDER BY split")]
    for split in splits:
        rows = database.execute(_ENTRIES, (split,)).fetchall()
        database.execute("INSERT INTO splits VALUES (?, ?)", (split, _digest(splits, split, rows)))


def _digest(*values: Any) -> str:
    """Digest texts, numbers and lists of them. (A damaged row may have bytes in place of a text.)"""
    return hashlib.sha256(json.dumps(values, default=repr).encode()).hexdigest()


def _frame(grammar: str) -> tuple[str, str | None]:
    """A grammar with a slot for its task sentence, and the sentence; None where it has none."""
    parts = split_at_task(grammar)
    if parts is None or _SLOT in grammar:
        return grammar, None
    return f"{parts[0]}{_SLOT}{parts[2]}", parts[1]


def _store(database: sqlite3.Connection, stored: dict[str, int], text: str) -> int:
    """The id of a text. `stored` knows those that are there, by their digests."""
    content = text.encode()
    if len(content) > MAX_TEXT:
        raise ValueError(f"a text of {len(content):,} bytes; at most {MAX_TEXT:,} are packed")
    digest = hashlib.sha256(content).hexdigest()
    if digest not in stored:
        stored[digest] = len(stored) + 1
        database.execute("INSERT INTO texts VALUES (?, ?)", (stored[digest], zlib.compress(content)))
    return stored[digest]


# Reading.


def _ask(path: Path, stamp: Stamp, query: str, *values: str | int) -> list[Any]:
    try:
        return _connection(path, stamp).execute(query, values).fetchall()
    except (sqlite3.Error, UnicodeError) as error:
        raise DataError(f"{path}: broken pack ({' '.join(str(error).split())}); {_AGAIN}") from error


def _connection(path: Path, stamp: Stamp) -> sqlite3.Connection:
    """This thread's own connection to a pack as it is now.

    SQLite's connections must not be used in a forked process: there, one is opened anew.
    """
    opened: dict[Path, tuple[object, sqlite3.Connection]] = _local.__dict__.setdefault("opened", {})
    now = (os.getpid(), stamp)
    if path not in opened or opened[path][0] != now:
        opened[path] = (now, _connect(path, stamp))
    return opened[path][1]


def _connect(path: Path, stamp: Stamp) -> sqlite3.Connection:
    if not is_pack(path):
        raise DataError(f"{path}: no pack of games; `oreo games pack` makes one from a data folder")
    # Immutable: no locks, so that it can lie on read-only and on network disks.
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)
    try:
        version, pages, size = (
            connection.execute(f"PRAGMA {fact}").fetchone()[0] for fact in ("user_version", "page_count", "page_size")
        )
        if pages * size != stamp[-1]:  # SQLite itself reads on where only the last page is cut
            raise sqlite3.DatabaseError("the file is cut off")
        if version not in _SCHEMAS:
            raise DataError(f"{path}: a pack of version {version}, and this is for version {VERSION}; {_AGAIN}")
        # Other tables, views or computed columns might compute for ever, or something else.
        if connection.execute(_MASTER).fetchall() != _expected_schema(version):
            raise sqlite3.DatabaseError("its tables are not those of a pack")
    except BaseException:
        connection.close()
        raise
    return connection


def _stamp(path: Path) -> Stamp:
    try:
        stat = path.stat()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    return stat.st_ino, stat.st_mtime_ns, stat.st_size


def _version(path: Path, stamp: Stamp) -> int:
    ((version,),) = _ask(path, stamp, "PRAGMA user_version")
    return int(version)


def _split_digests(path: Path, stamp: Stamp) -> list[tuple[str, str]]:
    """The splits that are there and the digests of their entries; empty ones in a pack of the version before."""
    if _version(path, stamp) == WITHOUT_DIGESTS:
        return _ask(path, stamp, "SELECT DISTINCT split, '' FROM games")
    return _ask(path, stamp, "SELECT split, digest FROM splits")


_MASTER = "SELECT type, name, sql FROM sqlite_master ORDER BY name"


@lru_cache(maxsize=2)
def _expected_schema(version: int) -> list[tuple[str, str, str | None]]:
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript(f"{_SCHEMAS[version]}{_INDEX};")
        return database.execute(_MASTER).fetchall()


@lru_cache(maxsize=16)
def _shared_text(path: Path, stamp: Stamp, number: int) -> str:
    """A text that many games share, kept."""
    ((packed,),) = _ask(path, stamp, "SELECT text FROM texts WHERE id = ?", number)
    return _unpacked(packed)


def _unpacked(packed: bytes) -> str:
    """A text. It is unpacked no further than the longest may be: a few kilobytes can hold a gigabyte of zeros."""
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(packed, MAX_TEXT)
    if not unpacker.eof:
        raise ValueError(f"a text that is cut off, or longer than {MAX_TEXT:,} bytes")
    return content.decode()
