"""The rows of a file, however it is packed: JSON lines, an array, one value, Parquet; gzip, xz, bzip2, zstd.

What a file is, its first bytes say and not its name. A row is held at a time, and none may be larger than
`MOST_BYTES`. A line that cannot be read is a row with a fault, and the next one follows; where what comes after it
cannot be told apart (a broken array, a damaged archive), the fault is the last row.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import json
import lzma
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from oreo.errors import DataError
from oreo.json_text import parse

MOST_BYTES = 64 << 20
"""Of one row, unpacked."""
_CHUNK = 1 << 16
_ROWS_AT_ONCE = 8
"""Of Parquet."""
_BLANKS = re.compile(rb"[ \t\r\n]*")
_MARKS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*("?)|[{}\[\]]', re.DOTALL)
"""What decides where a JSON value ends: strings, as brackets in them count for nothing, and brackets."""
# The shorter marks last: that of UTF-32 begins with that of UTF-16.
_BOMS = (
    *((codecs.BOM_UTF32_LE, "utf-32"), (codecs.BOM_UTF32_BE, "utf-32")),
    *((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16")),
)


@dataclass(frozen=True)
class Row:
    """One row of a file."""

    line: int
    """Where it begins: a line counted from 1, in a JSON array and in Parquet the number of the row."""
    value: Any = None
    fault: str = ""
    """Why it could not be read."""


def rows(path: Path) -> Iterator[Row]:
    """The rows of a file.

    Raises:
        DataError: there is no such file, or nothing in it, or what it holds is no rows.
    """
    if path.is_dir():
        raise DataError(f"{path} is a folder; name the files in it")
    if path.exists() and not path.is_file():
        raise DataError(f"{path} is no regular file, and what is imported is read more than once; store it first")
    try:
        with path.open("rb") as raw:
            yield from _rows(path, raw)
    except OSError as error:
        raise DataError(f"cannot read {path} ({error.strerror or error})") from error


def _rows(path: Path, raw: IO[bytes]) -> Iterator[Row]:
    start = raw.read(16)
    raw.seek(0)
    if start[:4] == b"PAR1":
        return (yield from _parquet_rows(path))
    if start[:4] in (b"PK\x03\x04", b"PK\x05\x06"):
        raise DataError(f"{path} is a zip archive; unpack it and name the files in it")
    if start == b"version https://":
        raise DataError(f"{path} is a pointer of Git LFS and not the file that it means; get that by `git lfs pull`")
    if start[:8] == b"\x89HDF\r\n\x1a\n":
        raise DataError(f"{path} is an HDF5 file; of a Minari dataset, name the folder that its `data` folder lies in")
    file = _unpacked(raw, start)
    line, empty = 0, True
    try:
        text = _Text(path, file)
        for row in _json_rows(text):
            line, empty = row.line, False
            yield row
    except (EOFError, OSError, lzma.LZMAError, UnicodeDecodeError, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        reason = error.reason if isinstance(error, UnicodeDecodeError) else str(error).splitlines()[0]
        yield Row(line + 1, fault=f"the file cannot be read any further ({reason})")
        return
    if empty:
        raise DataError(f"{path} is empty")


def _unpacked(raw: IO[bytes], start: bytes) -> Any:
    if start[:2] == b"\x1f\x8b":
        return gzip.GzipFile(fileobj=raw)
    if start[:6] == b"\xfd7zXZ\x00":
        return lzma.LZMAFile(raw)
    if start[:3] == b"BZh":
        return bz2.BZ2File(raw)
    if start[:4] == b"\x28\xb5\x2f\xfd":
        import pyarrow as pa

        return pa.CompressedInputStream(pa.PythonFile(raw), "zstd")
    return raw


class _Text:
    """The bytes of a file as UTF-8, of which a bounded part is held."""

    def __init__(self, path: Path, file: Any) -> None:
        self.path = path
        self._file = file
        self._held = bytearray()
        self._ended = False
        self._decoder: codecs.IncrementalDecoder | None = None
        start = bytes(file.read(_CHUNK))
        encoding = next((name for bom, name in _BOMS if start.startswith(bom)), "")
        if not encoding and start[:2] in (b"{\0", b"[\0", b"\0{", b"\0["):
            encoding = "utf-16-le" if start[1:2] == b"\0" else "utf-16-be"
        if encoding == "utf-8":
            start = start[len(codecs.BOM_UTF8) :]
        elif encoding:
            self._decoder = codecs.getincrementaldecoder(encoding)()
        self._take(start)

    def _take(self, data: bytes) -> None:
        self._ended = not data
        if self._decoder is not None:
            data = self._decoder.decode(data, self._ended).encode("utf-8")
        self._held += data

    def more(self, least: int) -> bool:
        """Read until at least so many bytes more are held, or to the end; whether there was any."""
        before = len(self._held)
        while not self._ended and len(self._held) - before < least:
            self._take(bytes(self._file.read(_CHUNK)))
        return len(self._held) > before

    def peek(self) -> bytes:
        """The first byte that is not blank, which the held part then begins with; empty at the end."""
        while True:
            blanks = _BLANKS.match(self._held)
            self.drop(blanks.end() if blanks else 0)
            if self._held or not self.more(1):
                return bytes(self._held[:1])

    def drop(self, count: int) -> None:
        del self._held[:count]

    def line(self) -> bytes | None:
        """Up to the next line break; None at the end. What is too long to be held comes cut."""
        looked = 0
        while (end := self._held.find(b"\n", looked)) < 0:
            looked = len(self._held)
            if looked > MOST_BYTES:
                return self._overlong()
            if not self.more(_CHUNK):
                end = len(self._held) - 1
                break
        line = bytes(self._held[: end + 1])
        self.drop(end + 1)
        return line or None

    def _overlong(self) -> bytes:
        start = bytes(self._held[: MOST_BYTES + 1])
        while (end := self._held.find(b"\n")) < 0:
            self._held.clear()
            if not self.more(_CHUNK):
                return start
        self.drop(end + 1)
        return start

    @property
    def held(self) -> bytearray:
        return self._held


def _json_rows(text: _Text) -> Iterator[Row]:
    first = text.peek()
    if first == b"[":
        return _array_rows(text)
    if first not in (b"{", b""):
        shown = bytes(text.held[:20])
        raise DataError(f"{text.path} is neither JSON nor Parquet: it begins with {shown!r}")
    return _line_rows(text)


def _line_rows(text: _Text) -> Iterator[Row]:
    """A value a line; or values over several lines each, as the first one shows: its first line is but a beginning."""
    number, first = 0, True
    while (line := text.line()) is not None:
        number += 1
        if not line.strip():
            continue
        if len(line) > MOST_BYTES:
            yield Row(number, fault=f"it has more than {MOST_BYTES >> 20} MiB")
            continue
        value, fault = _parsed(line)
        if first and fault and line.rstrip()[-1:] in (b"{", b"[", b","):
            text.held[:0] = line
            yield from _values(text, number)
            return
        first = first and not value and not fault  # {} is one line in either
        yield Row(number, value, fault)


def _values(text: _Text, number: int) -> Iterator[Row]:
    """Values over several lines each, counted on from a number."""
    while text.peek():
        row, ends = _next_value(text, number)
        yield row
        if row.fault or not ends:
            return
        number += 1


def _array_rows(text: _Text) -> Iterator[Row]:
    text.drop(1)
    number = 0
    while (first := text.peek()) != b"]":
        number += 1
        row, ends = _next_value(text, number) if first else (Row(number, fault="the JSON array has no end"), False)
        # Behind a broken element its brackets say where the next one begins. Should they be astray, as where a quote
        # is missing, nothing wrong is read for it: inside a text the quotes of fields are escaped, and parse as none.
        following = text.peek() if ends else b""
        if row.fault and following not in (b",", b"]"):
            yield row
            return
        yield row
        if following == b",":
            text.drop(1)
        elif following != b"]":
            what = "has no end" if not following else f"goes on with {bytes(text.held[:20])!r}, and not with , or ]"
            yield Row(number + 1, fault=f"the JSON array {what}")
            return
    text.drop(1)
    if text.peek():
        yield Row(number + 1, fault=f"after the JSON array comes {bytes(text.held[:20])!r}")
    elif not number:
        raise DataError(f"{text.path} holds an empty JSON array")


def _next_value(text: _Text, number: int) -> tuple[Row, bool]:
    """The value that the held part begins with, read as far as it takes; and whether it has an end."""
    while True:
        size = _size_of_value(text.held)
        if size is not None:
            value, fault = _parsed(bytes(text.held[:size]))
            text.drop(size)
            return Row(number, value, fault), True
        if len(text.held) > MOST_BYTES:
            return Row(number, fault=f"it has more than {MOST_BYTES >> 20} MiB, or no end"), False
        # As much again as there is: what was looked at is looked at once more, and that adds up to twice as much.
        if not text.more(max(_CHUNK, len(text.held))):
            return Row(number, fault="it ends in the middle of a JSON value"), False


def _size_of_value(held: bytearray) -> int | None:
    """Bytes of the JSON object or array at the beginning; of another value, up to a comma; None: not all is held."""
    if held[:1] not in (b"{", b"["):
        ends = [end for end in (held.find(b","), held.find(b"]")) if end >= 0]
        return max(min(ends), 1) if ends else None
    depth, at = 0, 0
    for match in _MARKS.finditer(held):
        at = match.start()
        mark = held[at]
        if mark == 0x22:
            if not match[1]:
                return None
        elif mark in (0x7B, 0x5B):
            depth += 1
        else:
            depth -= 1
            if not depth:
                return at + 1
    return None


def _parsed(text: bytes) -> tuple[Any, str]:
    """The value of a JSON text, and what is wrong with it."""
    try:
        return parse(text.decode("utf-8")), ""
    except UnicodeDecodeError as error:
        return None, f"it is not UTF-8 ({error.reason}, byte {error.start})"
    except RecursionError:
        return None, "it is nested too deeply"
    except json.JSONDecodeError as error:
        return None, f"it is no JSON ({error.msg}, character {error.pos})"
    except ValueError as error:  # a number of more digits than Python reads, or too many values
        return None, f"it is no JSON that can be read ({str(error).split(';')[0]})"


def _parquet_rows(path: Path) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    number = 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE):
                # A small file may repeat a long text without end; few rows of it are held, and none is unpacked.
                if batch.nbytes > MOST_BYTES:
                    yield Row(number + 1, fault=f"{len(batch)} rows here have more than {MOST_BYTES >> 20} MiB")
                    return
                for value in batch.to_pylist():
                    number += 1
                    yield Row(number, value)
    except (pa.ArrowException, ValueError) as error:
        yield Row(number + 1, fault=f"the Parquet file cannot be read any further ({str(error).splitlines()[0]:.200})")
