"""What the first bytes of a file say of it."""

from __future__ import annotations

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo.envs.math.looks import looks_like


@pytest.mark.parametrize(
    ("head", "says"),
    [
        (gzip.compress(b"{}", mtime=0), "gunzip"),
        ("{}".encode("utf-16"), "UTF-8"),
        ('{"a": "é"}'.encode("utf-16-le"), "UTF-8"),
        (b"\xef\xbb\xbf [1]", "JSON array"),
        (b"\n\n[\n", "JSON array"),
        (b"a\tb\n1\t2\n", "separated values"),
        (b"<html>", "web page"),
        (bytes(range(9)) * 9, "no text"),
        (b"", ""),
        (b"words and nothing else", ""),
        (b"\xef\xbb\xbf{", ""),
    ],
)
def test_a_format_is_known_by_how_it_begins(head: bytes, says: str) -> None:
    meaning = looks_like(head)
    assert says in meaning and bool(says) == bool(meaning) and "\n" not in meaning


@given(st.dictionaries(st.text(), st.text() | st.integers()))
def test_a_line_of_json_looks_like_nothing_else(row: dict[str, object]) -> None:
    import json

    for text in (json.dumps(row), json.dumps(row, ensure_ascii=False)):
        assert looks_like(text.encode()[:512]) == ""


@given(st.binary(max_size=512))
def test_nothing_that_is_looked_at_raises(head: bytes) -> None:
    assert "\n" not in looks_like(head)
