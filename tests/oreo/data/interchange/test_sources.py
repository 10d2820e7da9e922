"""However a file is packed, its rows are the same; what cannot be read is named with its line."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from oreo.data.interchange import sources
from oreo.data.interchange.sources import Row, rows
from oreo.errors import DataError

VALUES: list[Any] = [{"id": 1, "text": 'a "b" \\ [{é\u2028'}, {"id": 2, "nested": [{"x": [1, 2.5, None]}]}, {}]


PACKED: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zstd": lambda data: pa.Codec("zstd").compress(data, asbytes=True),
}
SPELLED: dict[str, Callable[[str], bytes]] = {
    "utf-8": lambda text: text.encode(),
    "a byte order mark": lambda text: text.encode("utf-8-sig"),
    "utf-16": lambda text: text.encode("utf-16"),
    "utf-16 without a mark": lambda text: text.encode("utf-16-le"),
    "utf-16-be without a mark": lambda text: text.encode("utf-16-be"),
}
WRITTEN: dict[str, Callable[[list[Any]], str]] = {
    "lines": lambda values: "\n".join(map(json.dumps, values)),
    "lines with CRLF and blank ones": lambda values: "\r\n\r\n".join(map(json.dumps, values)) + "\r\n",
    "an array": lambda values: json.dumps(values, indent=1, ensure_ascii=False),
    "an array in a line": lambda values: json.dumps(values, separators=(",", ":")),
    "values over several lines": lambda values: "\n".join(json.dumps(value, indent=2) for value in values),
}


def written(folder: Path, data: bytes | str, name: str = "rows.jsonl") -> Path:
    path = folder / name
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


def values(path: Path) -> list[Any]:
    read = list(rows(path))
    assert not [row.fault for row in read if row.fault]
    return [row.value for row in read]


@pytest.mark.parametrize("write", WRITTEN)
@pytest.mark.parametrize("spell", SPELLED)
@pytest.mark.parametrize("pack", PACKED)
def test_rows_are_the_same_however_they_are_packed(pack: str, spell: str, write: str, tmp_path: Path) -> None:
    assert values(written(tmp_path, PACKED[pack](SPELLED[spell](WRITTEN[write](VALUES))))) == VALUES


json_objects = st.dictionaries(
    st.text(max_size=4),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=6), lambda inner: st.lists(inner), max_leaves=5
    ),
    max_size=3,
)


@settings(max_examples=40, deadline=None)
@given(
    given_values=st.lists(json_objects, min_size=1, max_size=5),
    write=st.sampled_from(sorted(WRITTEN)),
    chunk=st.integers(1, 9),
)
def test_any_values_in_any_spelling_come_back_whatever_is_read_at_once(
    given_values: list[Any], write: str, chunk: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("rows"), WRITTEN[write](given_values).encode("utf-8", "surrogatepass"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "_CHUNK", chunk)
        assert values(path) == given_values


@settings(max_examples=100, deadline=None)
@given(
    data=st.binary(max_size=60), start=st.sampled_from([b"", b"[", b"{", b'{"a": ', b'[{"a":1},', b"\x1f\x8b", b"PAR1"])
)
def test_no_bytes_end_in_anything_but_rows_faults_or_one_line(
    data: bytes, start: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = written(tmp_path_factory.mktemp("rows"), start + data)
    try:
        for row in rows(path):
            assert isinstance(row, Row) and "\n" not in row.fault
    except DataError as error:
        assert str(path) in str(error) and "\n" not in str(error)


def test_a_line_that_cannot_be_read_is_named_and_the_next_one_follows(tmp_path: Path) -> None:
    lines = [b'{"a": 1}', b'{"a": ', b'{"a": "\xff"}', b"[" * 50_000, b'{"a": ' + b"9" * 5000 + b"}", b'{"a": 2}']
    read = list(rows(written(tmp_path, b"\n".join(lines))))
    assert [row.line for row in read] == [1, 2, 3, 4, 5, 6]
    assert [row.value for row in read if not row.fault] == [{"a": 1}, {"a": 2}]
    no_json, no_utf8, deep, digits = [row.fault for row in read if row.fault]
    assert "no JSON" in no_json and "UTF-8" in no_utf8 and "deeply" in deep and "digits" in digits


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ('[{"a": 1}, {"a": ', "in the middle"),
        ('[{"a": 1}', "no end"),
        ('[{"a": 1},', "no end"),
        ('[{"a": 1} {"a": 2}]', "goes on with"),
        ('[{"a": 1}, {"a": nope}]', "no JSON"),
        ('[{"a": 1}, {"a": nope} {"a": 2}]', "no JSON"),
        ('[{"a": 1}] []', "after the JSON array"),
        ('{\n "a": 1\n}\n{\n "a": ', "in the middle"),
    ],
)
def test_where_an_array_breaks_is_named_after_what_stands_before(text: str, fault: str, tmp_path: Path) -> None:
    first, *_, last = rows(written(tmp_path, text))
    assert first.value == {"a": 1} and fault in last.fault


@pytest.mark.parametrize(
    ("broken", "faults"),
    [
        ('{"a": nope}', 1),
        ('{"a": 1,, }', 1),
        ('{"a": "a tab\t"}', 1),
        ("oops", 1),
        ('{"a": [}', 1),
        ('{"a": "a quote " too many"}, {"a": 5}, {"a": "\\"{}\\""}', 1),  # ends who knows where, at a bracket
    ],
)
def test_behind_a_broken_element_of_an_array_the_next_ones_follow(broken: str, faults: int, tmp_path: Path) -> None:
    read = list(rows(written(tmp_path, f'[{{"a": 1}}, {broken}, {{"a": 2}}, {{"a": 3}}]')))
    assert read[0].value == {"a": 1}
    assert sum(bool(row.fault) for row in read) >= faults
    values = [row.value for row in read if not row.fault]
    assert all(value in ({"a": 1}, {"a": 2}, {"a": 3}, {"a": 5}) for value in values)  # nothing that is not there
    if "quote" not in broken and "[}" not in broken:
        assert values == [{"a": 1}, {"a": 2}, {"a": 3}] and [row.line for row in read] == [1, 2, 3, 4]


@pytest.mark.parametrize("pack", ["gzip", "xz", "bzip2"])
def test_an_archive_that_is_cut_off_gives_what_it_holds(pack: str, tmp_path: Path) -> None:
    data = PACKED[pack](b"".join(b'{"a": %d}\n' % number for number in range(30_000)))
    read = list(rows(written(tmp_path, data[: len(data) // 2])))
    assert "cannot be read any further" in read[-1].fault and read[-1].line == len(read)
    assert [row.value["a"] for row in read[:-1]] == list(range(len(read) - 1))


@pytest.mark.parametrize(("text", "line"), [('{"a": 1}\n{"a": "%s"}\n{"a": 2}\n', 2), ('[{"a": 1}, {"a": "%s"}]', 2)])
def test_a_row_that_is_larger_than_may_be_is_refused_by_name(
    text: str, line: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sources, "MOST_BYTES", 1 << 20)
    (row,) = [row for row in rows(written(tmp_path, text % ("x" * (3 << 20)))) if row.fault]
    assert row.line == line and "more than 1 MiB" in row.fault


def test_a_line_of_fifty_megabytes_is_read(tmp_path: Path) -> None:
    assert len(values(written(tmp_path, '{"a": "%s"}\n' % ("x" * 50_000_000)))[0]["a"]) == 50_000_000


def test_what_is_no_number_is_read_as_that_for_its_field_to_be_refused(tmp_path: Path) -> None:
    (value,) = values(written(tmp_path, '{"reward": NaN}'))
    assert math.isnan(value["reward"])


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"[]", "empty JSON array"),
        (b"id,text\n1,a\n", "neither JSON nor Parquet"),
        (b"\x89HDF\r\n\x1a\n\0\0", "HDF5"),
        (b"PK\x03\x04\0\0", "zip"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n", "git lfs pull"),
    ],
)
def test_a_file_without_rows_is_refused_in_one_line(data: bytes, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        list(rows(written(tmp_path, data)))


def test_a_folder_and_a_file_that_is_not_there_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is a folder"):
        list(rows(tmp_path))
    with pytest.raises(DataError, match="cannot read .*nowhere"):
        list(rows(tmp_path / "nowhere"))


def test_a_small_parquet_file_that_claims_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "MOST_BYTES", 1 << 20)
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.table({"text": ["x" * (1 << 19)] * 1000}), path, compression="zstd")
    assert path.stat().st_size < 1 << 20
    (row,) = rows(path)
    assert row.line == 1 and "more than 1 MiB" in row.fault


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_a_pipe_is_refused_since_it_is_read_but_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="no regular file"):
        list(rows(tmp_path / "pipe"))


def test_parquet_is_read_row_by_row_and_a_damaged_one_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.bin"
    pq.write_table(
        pa.table({"id": list(range(1000)), "text": [f"t{at}" for at in range(1000)]}), path, row_group_size=10
    )
    assert values(path) == [{"id": at, "text": f"t{at}"} for at in range(1000)]
    path.write_bytes(path.read_bytes()[:-8])
    (row,) = rows(path)
    assert "Parquet file cannot be read" in row.fault
