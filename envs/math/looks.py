"""What a file that is no JSONL looks like, for the message that refuses it."""

from __future__ import annotations

_STARTS = {
    b"\x1f\x8b": "gzip: unpack it first, gunzip FILE",
    b"PK\x03\x04": "a zip archive: unpack it first",
    b"\xfd7zXZ\x00": "xz: unpack it first, unxz FILE",
    b"BZh": "bzip2: unpack it first, bunzip2 FILE",
    b"\x28\xb5\x2f\xfd": "zstd: unpack it first, unzstd FILE",
    b"\xff\xfe": "UTF-16 text: save it as UTF-8",
    b"\xfe\xff": "UTF-16 text: save it as UTF-8",
    b"PAR1": "Parquet: give it a name that ends in .parquet",
    b"ARROW1": "Arrow: save it as .parquet or .jsonl",
    b"SQLite format 3": "an SQLite database: save its rows as .jsonl",
    b"version https://git-lfs": "a Git LFS pointer in place of the file: get that with git lfs pull",
}


def looks_like(head: bytes) -> str:
    """The format of a file by its first bytes, and what to do about it; empty where that is not to be seen.

    Args:
        head: some hundred bytes, so that a text in UTF-16 without a mark shows, too.
    """
    for start, meaning in _STARTS.items():
        if head.startswith(start):
            return meaning
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if b"\x00" in head:
        nulls = max(head[0::2].count(0), head[1::2].count(0))
        return _STARTS[b"\xff\xfe"] if nulls > len(head) // 4 else "no text at all"
    if text.startswith(b"["):
        return "a JSON array: write each of its objects on a line of its own, with jq -c '.[]' FILE"
    if text.startswith(b"<"):
        return "a web page or XML: get the file itself"
    first_line = text.split(b"\n", 1)[0]
    if text and not text.startswith(b"{") and (b"," in first_line or b"\t" in first_line):
        return "a table of separated values: save its rows as .jsonl, an object with named fields a line"
    return ""
