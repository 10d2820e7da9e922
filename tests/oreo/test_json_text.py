"""JSON that would not fit into memory is refused before it is parsed; texts count as one value, whatever they hold."""

from __future__ import annotations

import json
from contextlib import nullcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oreo import json_text
from oreo.json_text import TooManyValues, check_values, parse

VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=8) | st.sampled_from(['"', "\\\\", '\\",', "[{,", "\n"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


def size(value: object) -> int:
    """Values in a value, itself not counted."""
    inside = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return sum(1 + size(item) for item in inside)


@given(value=VALUES, ascii_only=st.booleans())
def test_a_text_is_refused_by_the_number_of_its_values_and_by_nothing_else(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "MOST_VALUES", 2 * size(value) + 1)
        assert parse(text) == value
        patch.setattr(json_text, "MOST_VALUES", max(0, size(value) - 1))
        with pytest.raises(TooManyValues) if size(value) else nullcontext():
            check_values(text if size(value) else "0")


@pytest.mark.parametrize("text", ["[],", "{},", "1,", '"",', '{"":[]},', "[[]],"])
def test_a_long_list_of_nothing_is_not_parsed(text: str) -> None:
    with pytest.raises(TooManyValues, match="more than 1,048,576 values"):
        parse(f"[{text * (1 << 20)}0]")


def test_half_a_text_takes_no_time() -> None:
    with pytest.raises(ValueError, match="Unterminated|Expecting"):
        parse('["' + "\\\\" * 3_000_000)
    with pytest.raises(TooManyValues):
        parse("," * (1 << 21) + '"' * 1_000_001)
