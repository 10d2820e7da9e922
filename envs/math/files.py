"""Problems from files: GSM8K and MATH as their authors publish them, and any JSONL or Parquet with named fields.

GSM8K: JSONL of question and answer, the answer being a worked solution that ends in `#### 72`.
MATH: a folder for each subject with a JSON file for each problem, or rows of the same fields: problem, solution, level,
type (or subject, as in MATH-500). The answer is in the solution's last \\boxed{}.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from oreo.envs.math.answers import final_answer
from oreo.envs.math.looks import looks_like
from oreo.envs.math.problems import SPLITS, Problem, by_content
from oreo.errors import DataError, UsageError
from oreo.json_text import parse

ROWS = (".jsonl", ".parquet")
_SHARD = re.compile(r"-\d+(-of-\d+)$")


@dataclass(frozen=True)
class Fields:
    """Which field of a row holds what; of several names the first that is there. Empty: none does."""

    question: tuple[str, ...] = ("question",)
    answer: tuple[str, ...] = ("answer",)
    """The right answer, or a worked solution that marks it."""
    solution: tuple[str, ...] = ()
    level: tuple[str, ...] = ()
    subject: tuple[str, ...] = ()
    needed: frozenset[str] = frozenset(("question", "answer"))


GSM8K = Fields(answer=(), solution=("answer",), needed=frozenset(("question", "solution")))
MATH = Fields(
    question=("problem",),
    answer=("answer",),
    solution=("solution",),
    level=("level",),
    subject=("type", "subject"),
    needed=frozenset(("question", "solution")),
)


def named(columns: Mapping[str, str]) -> Fields:
    """Fields by the names that a user gave. What has been named has to be there."""
    return Fields(
        **{what: (field,) for what, field in columns.items()}, needed=frozenset({"question", "answer", *columns})
    )


def read(path: Path, split: str | None, fields: Fields, prefix: str) -> list[Problem]:
    """All problems of a file, or of a split in a folder, in the files' order. Remembered as long as the files stay.

    Args:
        split: "train", "test" or None, for a folder train.
        prefix: what ids begin with: PREFIX/SPLIT/HASH (see `id_of`), or the file's path in a folder of MATH.
    Raises:
        UsageError: a split is asked of a file, which is one.
        DataError: nothing there, or a file that does not hold what it should.
    """
    files = _files(path.expanduser().absolute(), split)
    state = tuple((file, (stat := file.stat()).st_mtime_ns, stat.st_size) for file in files)
    return _read(state, fields, prefix)


def _files(path: Path, split: str | None) -> list[Path]:
    if path.is_file():
        if split is not None:
            raise UsageError(f"split={split!r}: {path} is one file, which is a split of its own; leave split out")
        if path.suffix not in ROWS:
            look = looks_like(_head(path))
            raise UsageError(
                f"{path}: expected a file of rows, .jsonl or .parquet" + (f"; this is {look}" if look else "")
            )
        return [path]
    if not path.is_dir():
        raise DataError(f"{path}: there is no such file or folder")
    split = split or ("train" if path.name not in SPLITS else path.name)
    rows = sorted(
        file
        for suffix in ROWS
        for file in path.glob(f"{split}*{suffix}")
        if _SHARD.sub("", file.stem) == split and file.is_file()
    )
    if rows:
        for file in rows:
            if _form(file) != _form(rows[0]):  # one split in two forms, which would be read twice
                raise DataError(
                    f"{path}: split {split} is there both as {rows[0].name} and as {file.name}: "
                    "name one of the files instead of the folder, or put one away"
                )
        return rows
    folder = path / split if (path / split).is_dir() else path
    single = sorted(folder.glob("*/*.json")) if folder.name == split else []
    if not single:
        raise DataError(f"{path}: no split {split}; expected {split}.jsonl, {split}.parquet or {split}/SUBJECT/1.json")
    return single


def _form(file: Path) -> tuple[str, str]:
    """Return what the files of one split have in common: the format, and of how many shards each is one."""
    shard = _SHARD.search(file.stem)
    return file.suffix, shard[1] if shard else ""


@lru_cache(maxsize=8)
def _read(state: tuple[tuple[Path, int, int], ...], fields: Fields, prefix: str) -> list[Problem]:
    problems: list[Problem] = []
    counts: dict[str, int] = {}
    for file, _, _ in state:
        single = file.suffix == ".json"
        # As the authors count: train/algebra/1. One file or many shards, rows are counted through.
        stem = "/".join((*file.parts[-3:-1], file.stem)) if single else _SHARD.sub("", file.stem)
        for where, row in _rows(file):
            name = f"{prefix}/{stem}"
            if not single:
                name += f"/{counts.get(stem, 0)}"
                counts[stem] = counts.get(stem, 0) + 1
            problems.append(problem(name, row, fields, where))
    if not problems:
        raise DataError(f"{state[0][0]}: no problem in it")
    return problems if state[0][0].suffix == ".json" else by_content(problems)


def _rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield every row as (where it stands, row)."""
    if file.suffix == ".parquet":
        yield from _parquet_rows(file)
        return
    look = looks_like(_head(file))
    if look:
        raise DataError(f"{file}: not {'JSON' if file.suffix == '.json' else 'JSONL'}, but {look}")
    try:
        text = file.read_text(encoding="utf-8-sig")  # some editors begin a file with a mark
    except UnicodeDecodeError as error:
        raise DataError(f"{file}: not UTF-8 text: {error.reason} at byte {error.start}") from None
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None
    lines = [(str(file), text)] if file.suffix == ".json" else _lines(file, text)
    for where, line in lines:
        try:
            row = parse(line)
        except ValueError as error:
            raise DataError(f"{where}: not JSON: {error}") from None
        except RecursionError:
            raise DataError(f"{where}: JSON that is nested too deeply to be read") from None
        if not isinstance(row, dict):
            raise DataError(f"{where}: expected a JSON object with fields, got {line.strip():.40}")
        yield where, row


_MOST_TEXT = 1 << 28, 100
"""Characters of all texts in a Parquet file: as many, or as many for each of its bytes. One text that all rows share
takes no room there, and as much as it is long for each of them in memory."""

_MOST_ROWS = 1 << 20
"""Of a file that has not a byte for each."""


def _parquet_rows(file: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    number, characters = 0, 0
    least, times = _MOST_TEXT
    size = file.stat().st_size if file.is_file() else 0
    most = max(least, times * size)
    try:
        names = [field.name for field in pq.read_schema(file) if pa.types.is_string(field.type)]
        opened = pq.ParquetFile(file, read_dictionary=names)
        if opened.metadata.num_rows > max(_MOST_ROWS, size):
            raise DataError(
                f"{file}: it says it has {opened.metadata.num_rows:,} rows, more than a file of its size holds"
            )
        for batch in opened.iter_batches(batch_size=1000):
            for column in batch.columns:
                if pa.types.is_dictionary(column.type):
                    lengths = pc.cast(pc.binary_length(column.dictionary), pa.int64())
                    characters += pc.sum(lengths.take(column.indices)).as_py() or 0
            if characters > most:
                raise DataError(
                    f"{file}: its texts have more than {most:,} characters, too many for a file of its size"
                )
            for row in batch.to_pylist():
                yield f"{file}, row {number}", row
                number += 1
    except (pa.ArrowException, OSError) as error:
        look = looks_like(_head(file))
        what = f"it is {look}" if look else str(error).splitlines()[0]
        raise DataError(f"{file}: not a Parquet file: {what}") from None


def _head(file: Path) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(512)
    except OSError as error:
        raise DataError(f"{file}: cannot be read ({error.strerror})") from None


def _lines(file: Path, text: str) -> Iterable[tuple[str, str]]:
    # Only "\n" ends a line: other separators may stand within JSON texts.
    return ((f"{file}, line {n}", line) for n, line in enumerate(text.split("\n"), start=1) if line.strip())


def problem(name: str, row: Mapping[str, Any], fields: Fields, where: str) -> Problem:
    """A problem of a row.

    Raises:
        DataError: a field is missing or no text, or no answer is marked; begins with `where`.
    """
    texts = {what: _text(row, what, fields, where) for what in ("question", "answer", "solution", "level", "subject")}
    solution, answer = texts["solution"], texts["answer"]
    marked = final_answer(answer)
    if marked is not None and not solution and "\n" in answer.strip():
        solution = answer  # the answer is worked out
    if not answer or marked is not None:
        answer = (final_answer(solution) if marked is None else marked) or ""
    if not texts["question"] or not answer:
        missing = "an empty question" if not texts["question"] else "no answer, neither #### 72 nor \\boxed{72}"
        raise DataError(f"{where}: {missing}")
    if solution and final_answer(solution) is None:
        solution = f"{solution.rstrip()}\n#### {answer}"
    level = texts["level"].removeprefix("Level ")
    return Problem(name, texts["question"], answer, solution, texts["subject"], level)


def _text(row: Mapping[str, Any], what: str, fields: Fields, where: str) -> str:
    names: tuple[str, ...] = getattr(fields, what)
    value = next((row[name] for name in names if row.get(name) is not None), None)
    if isinstance(value, float) and not math.isfinite(value):
        # pandas writes NaN where a number is missing.
        if what in fields.needed or math.isinf(value):
            raise DataError(f"{where}: {names[0]!r} is {value}, which is no value")
        return ""
    if value is None:
        if what in fields.needed:
            fields_there = ", ".join(map(str, row)) or "none"
            raise DataError(f"{where}: no field {names[0]!r}; the fields are {fields_there}")
        return ""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise DataError(f"{where}: {names[0]!r} is text or a number, got {type(value).__name__}")
    return str(value).strip()
