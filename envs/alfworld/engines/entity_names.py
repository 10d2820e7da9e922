"""How the original names things: "cabinet 4" for `cabinet_bar__minus_01_dot_24_bar_…`."""

from __future__ import annotations

from collections.abc import Iterable


def entity_names(ids: Iterable[str]) -> dict[str, str]:
    """Return what the original calls things: the id up to its position and a number, the highest for the first by id.

    An id with "basin" anywhere becomes a basin ("sinkbasin 1"). Ids without a position stay, with a blank at the end.
    """
    ordered = sorted(ids)
    kinds: dict[str, str] = {}
    counts: dict[str, int] = {}
    names: dict[str, str] = {}
    for thing in ordered:
        head, bar, _ = thing.partition("_bar_")
        if bar:
            kinds[thing] = kind = head + "basin" if "basin" in thing else head
            counts[kind] = counts.get(kind, 0) + 1
        else:
            names[thing] = _plain(thing) + " "
    for thing, kind in kinds.items():
        names[thing] = f"{_plain(kind)} {counts[kind]}"
        counts[kind] -= 1
    return names


def _plain(word: str) -> str:
    if "_" in word:
        for code, sign in (("_minus_", "-"), ("_plus_", "+"), ("_dot_", "."), ("_comma_", ",")):
            word = word.replace(code, sign)
    return word
