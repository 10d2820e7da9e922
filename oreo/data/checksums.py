"""Checksums inside a Parquet file, where other tools do not look: between its data and its footer.

Parquet finds the footer from the end of a file and everything else by offsets in the footer, so what stands before the
footer is skipped by every reader. A file carries its checksums along when it is copied, and one that another tool has
written again has none and is read as files without checksums are. The block is, in this order:

    one CRC-32 for each column chunk, row group by row group (little-endian, 4 bytes each)
    how many these are (4 bytes)
    CRC-32 of what stands before in this block and of all that stands after it (4 bytes)
    MARK

So the footer is checked when a file is opened, which costs next to nothing, and data when it is read, whole or in
part. Parquet's own page checksums cover neither the footer nor the headers of pages.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from typing import IO, Any

from oreo.errors import DataError

MARK = b"\xffOREO CHECKSUM\xff\xff"
_STRANGE = 8
"""Of its bytes, at most so many may differ where a mark is damaged: of a file without one nearly all do."""
_NUMBER = struct.Struct("<I")
_END = 8
"""Bytes behind the footer: its length, and "PAR1"."""


def with_checksums(data: memoryview, metadata: Any) -> list[bytes | memoryview]:
    """The parts of a Parquet file, its checksums among them.

    Args:
        data: the file as pyarrow writes it.
        metadata: its `pyarrow.parquet.FileMetaData`.
    """
    body, after = data[: _footer_start(data)], data[_footer_start(data) :]
    chunks = [zlib.crc32(data[start : start + size]) for start, size in _chunks(metadata, range(metadata.num_columns))]
    block = b"".join(map(_NUMBER.pack, [*chunks, len(chunks)]))
    return [body, block, _NUMBER.pack(zlib.crc32(after, zlib.crc32(block))), MARK, after]


def _footer_start(data: memoryview) -> int:
    return len(data) - _END - int(_NUMBER.unpack(data[-_END : -_END + 4])[0])


def _chunks(metadata: Any, columns: Iterable[int], groups: Iterable[int] | None = None) -> list[tuple[int, int]]:
    """(offset, bytes) of column chunks."""
    places = []
    columns = list(columns)
    for group in range(metadata.num_row_groups) if groups is None else groups:
        for column in columns:
            chunk = metadata.row_group(group).column(column)
            start = chunk.dictionary_page_offset if chunk.has_dictionary_page else chunk.data_page_offset
            places.append((start, chunk.total_compressed_size))
    return places


def read_checksums(file: IO[bytes]) -> list[int] | None:
    """The CRC-32 of each column chunk of an open file, its footer being whole; None: it has no checksums.

    With a damaged mark, the checksums are what they are: see `mark_is_damaged`.

    Raises:
        DataError: the footer is not as it was written.
    """
    mark_end = _mark_end(file)
    fixed = len(MARK) + 2 * _NUMBER.size
    if mark_end is None or mark_end < fixed or _differing(file, mark_end) > _STRANGE:
        return None
    file.seek(mark_end - fixed)
    count, checksum = struct.unpack("<II", file.read(8))
    start = mark_end - fixed - count * _NUMBER.size
    if start < 0:
        raise DataError("its checksums are damaged")
    file.seek(start)
    block = file.read((count + 1) * _NUMBER.size)
    file.seek(mark_end)
    if zlib.crc32(file.read(), zlib.crc32(block)) != checksum:
        raise DataError("its footer is not as it was written")
    return list(struct.unpack(f"<{count}I", block[:-4]))


def mark_is_damaged(file: IO[bytes]) -> bool:
    """Whether the mark of an open file's checksums is not as it was written; all else may be."""
    mark_end = _mark_end(file)
    return mark_end is not None and mark_end >= len(MARK) and 0 < _differing(file, mark_end) <= _STRANGE


def _mark_end(file: IO[bytes]) -> int | None:
    """Where the footer begins, and a mark would end, as far as the end of the file says."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END))
    end = file.read(_END)
    return None if len(end) < _END else size - _END - int(_NUMBER.unpack(end[:4])[0])


def _differing(file: IO[bytes], mark_end: int) -> int:
    """Bytes in which what stands in the place of the mark is none."""
    file.seek(mark_end - len(MARK))
    return sum(one != other for one, other in zip(file.read(len(MARK)), MARK, strict=True))


def check_group(file: IO[bytes], metadata: Any, checksums: list[int], group: int, columns: Iterable[int]) -> None:
    """Compare the data of some columns of a row group with their checksums.

    Args:
        columns: numbers of leaf columns, as in `metadata`.

    Raises:
        DataError: naming the column.
    """
    columns = list(columns)
    for column, (start, size) in zip(columns, _chunks(metadata, columns, [group]), strict=True):
        file.seek(start)
        if zlib.crc32(file.read(size)) != checksums[group * metadata.num_columns + column]:
            path = metadata.row_group(group).column(column).path_in_schema
            raise DataError(f"the data of the column {path} is not as it was written")
